"""The activations of PyTorch and JAX, by the names of the rows and of the rows from files."""


def torch_activations():
    import torch
    import torch.nn.functional as F

    table = {
        "identity": lambda z: z,
        "sigmoid": torch.sigmoid,
        "tanh": torch.tanh,
        "relu": torch.relu,
        "leaky_relu": F.leaky_relu,
        "elu": F.elu,
        "selu": F.selu,
        "softplus": F.softplus,
        "softsign": F.softsign,
        "gelu": F.gelu,
        "gelu_tanh": lambda z: F.gelu(z, approximate="tanh"),
        "silu": F.silu,
        "mish": F.mish,
        "hard_tanh": F.hardtanh,
        "sine": torch.sin,
        "exponential": torch.exp,
    }
    return with_names_of_files(table)


def jax_activations():
    import jax.numpy as jnp
    from jax import nn

    table = {
        "identity": lambda z: z,
        "sigmoid": nn.sigmoid,
        "tanh": jnp.tanh,
        "relu": nn.relu,
        "leaky_relu": nn.leaky_relu,
        "elu": nn.elu,
        "selu": nn.selu,
        "softplus": nn.softplus,
        "softsign": nn.soft_sign,
        "gelu": lambda z: nn.gelu(z, approximate=False),
        "gelu_tanh": nn.gelu,
        "silu": nn.silu,
        "mish": nn.mish,
        "hard_tanh": nn.hard_tanh,
        "sine": jnp.sin,
        "exponential": jnp.exp,
    }
    return with_names_of_files(table)


def with_names_of_files(table):
    names = {"gelu_erf": "gelu", "sin": "sine", "exp": "exponential"}
    return table | {name: table[same] for name, same in names.items()}
