"""Scalar bodies of the grasp kernels: one grasp at a time, float32, compiled twice (`..twins`) for CPU and CUDA."""
