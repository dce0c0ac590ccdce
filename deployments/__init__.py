"""How people and schedules reach the flows: the command line, the server's deployments, the results explorer."""
