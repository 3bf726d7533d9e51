"""Tiny models are slower on two threads than on one, above all while others use the cores."""

from __future__ import annotations

import torch

torch.set_num_threads(1)
