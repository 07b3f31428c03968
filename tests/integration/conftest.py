import torch

torch.set_num_threads(1)  # as in the demo: tests share the machine with nodes and daemons
