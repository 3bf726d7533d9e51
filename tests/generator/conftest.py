"""For all tests of the generator."""

import torch

torch.set_num_threads(1)  # the models are tiny: a second thread only waits, and costs a lot of it
