"""The search's inner loops, one idea per file, for CPUs (`_cpu`) and GPUs (`_gpu`), which the two modules of these names join."""
