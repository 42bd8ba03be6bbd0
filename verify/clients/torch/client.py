"""smoeref in PyTorch: every operation, with gradients by autograd.  A sample to copy; see ../README.md.

Written from the equations of spec/, chapter by chapter in the files beside this one; the numbers are at the functions.
Letters: T tokens, N experts, K selected experts of a token, d width, h hidden width; a tensor's shape is in brackets.

Number formats: f64 and f32 use one format throughout.  bf16 and f16 mean what hardware means by them: every tensor is
*stored* in 16 bits, and the arithmetic inside an operation is float32 (see `wide` in numerics.py).
"""
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..")]
import smoeref_warm  # noqa: E402

if __name__ == "__main__":
    smoeref_warm.client(__file__)  # with SMOEREF_WARM=1 PyTorch is imported once for many runs

import torch  # noqa: E402

import smoeref_io  # noqa: E402
import balance  # noqa: E402
import compete  # noqa: E402
import convergence  # noqa: E402
import expert  # noqa: E402
import gate  # noqa: E402
import layer  # noqa: E402
import numerics  # noqa: E402
import similarity  # noqa: E402
import simsmoe  # noqa: E402

torch.set_num_threads(1)  # the cases are small; threads would only make them slower

DTYPE = {"f64": torch.float64, "f32": torch.float32, "tf32": torch.float32, "bf16": torch.bfloat16,
         "f16": torch.float16}


# --- operations by name: (inputs, parameters) -> outputs ------------------------------------------------------------

def top_values(s, k):
    index = numerics.topk(s, k)
    return {"index": index, "value": numerics.take(s, index)}


def act(p):
    return expert.activation(p["activation"])


NUMERICS = {
    "numerics.exp": lambda i, p: {"y": numerics.exp(i["x"])},
    "numerics.expm1": lambda i, p: {"y": numerics.expm1(i["x"])},
    "numerics.log": lambda i, p: {"y": numerics.log(i["x"])},
    "numerics.log1p": lambda i, p: {"y": numerics.log1p(i["x"])},
    "numerics.tanh": lambda i, p: {"y": numerics.tanh(i["x"])},
    "numerics.erf": lambda i, p: {"y": numerics.erf(i["x"])},
    "numerics.erfc": lambda i, p: {"y": numerics.erfc(i["x"])},
    "numerics.sigmoid": lambda i, p: {"y": numerics.sigmoid(i["x"])},
    "numerics.softplus": lambda i, p: {"y": numerics.softplus(i["x"])},
    "numerics.silu": lambda i, p: {"y": numerics.silu(i["x"])},
    "numerics.gelu": lambda i, p: {"y": numerics.gelu(i["x"], p["approximate"])},
    "numerics.normal_cdf": lambda i, p: {"y": numerics.normal_cdf(i["x"])},
    "numerics.normal_pdf": lambda i, p: {"y": numerics.normal_pdf(i["x"])},
    "numerics.sum": lambda i, p: {"sum": numerics.total(i["x"])},
    "numerics.dot": lambda i, p: {"dot": numerics.dot(i["x"], i["y"])},
    "numerics.axpy": lambda i, p: {"z": numerics.axpy(i["a"], i["x"], i["y"])},
    "numerics.matmul_nn": lambda i, p: {"c": numerics.matmul(i["a"], i["b"])},
    "numerics.matmul_nt": lambda i, p: {"c": numerics.matmul(i["a"], i["b"].t())},
    "numerics.matmul_tn": lambda i, p: {"c": numerics.matmul(i["a"].t(), i["b"])},
    "numerics.softmax": lambda i, p: {"p": numerics.softmax(i["z"])},
    "numerics.logsumexp": lambda i, p: {"lse": numerics.logsumexp(i["z"])},
    "numerics.norm": lambda i, p: {"norm": numerics.norm(i["x"])},
    "numerics.topk": lambda i, p: top_values(i["s"], p["k"]),
}

EXPERT = {
    "expert.relu": lambda i, p: {"y": expert.expert(**i, act=expert.activation("relu"))},
    "expert.gelu": lambda i, p: {"y": expert.expert(**i, act=expert.activation("gelu", p["approximate"]))},
    "expert.swiglu": lambda i, p: {"y": expert.expert_swiglu(**i)},
    "expert.keyvalue": lambda i, p: {"y": expert.expert_keyvalue(**i)},
}

GATE = {
    "gate.linear": lambda i, p: {"r": expert.linear(i["x"], i["wr"], i["br"])},
    "gate.weights": lambda i, p: gate.weights(i["r"], p["k"], p["order"]),
    "gate.jitter": lambda i, p: {"r": gate.jitter(i["x"], i["noise"], i["wr"], i["br"])},
    "gate.noisy": lambda i, p: gate.noisy(**i, k=p["k"], epsilon=p["epsilon"]),
    "gate.sigmoid": lambda i, p: gate.sigmoid_gate(i["r"], p["k"], p["normalise"]),
    "gate.dropout": lambda i, p: gate.dropout(i["x"], i["wr"], p["k"]),
    "gate.dropout.schedule": lambda i, p: {
        "k": gate.dropout_schedule(i["step"], p["k_min"], p["k_max"], p["steps"], p["round"])},
    "gate.gshard": lambda i, p: gate.gshard(i["r"], i["u"], p["capacity"], p["policy"], p["threshold"], p["normalise"]),
    "gate.hyper": lambda i, p: {"r": gate.hyper(**i)},
    "gate.xmoe": lambda i, p: gate.xmoe(**i, k=p["k"], gate=p["gate"], kind=p["input"], norm=p["norm"]),
    "gate.perturbed": lambda i, p: {"r": gate.perturbed(i["x"], i["beta"], p["tau1"], p["tau2"])},
    "gate.stable": lambda i, p: gate.stable(**i, stage=p["stage"]),
    "gate.stable.distill": lambda i, p: gate.stable_distill(**i, reduction=p["reduce"]),
    "gate.deepseek": lambda i, p: gate.deepseek(**i, k=p["k"], groups=p["groups"], topk_groups=p["topk_groups"],
                                                route_scale=p["route_scale"], normalise_=p["normalise"]),
    "gate.entropy": lambda i, p: gate.entropy(i["r"]),
}

LAYER = {
    "layer.smoe": lambda i, p: layer.smoe(**i, k=p["k"], order=p["order"], act=act(p)),
    "layer.capacity": lambda i, p: layer.capacity(i["r"], p["k"], p["order"], p["factor"], p["minimum"], p["round"],
                                                  p["policy"], p["priority"]),
    "layer.dispatch": lambda i, p: layer.dispatch(i["x"], i["index"], p["experts"], p["capacity"], p["priority"]),
    "layer.combine": lambda i, p: {"y": layer.combine_slots(**i, overflow=p["overflow"])},
    "layer.shared": lambda i, p: layer.shared(**i, k=p["k"], order=p["order"], act=act(p), form=p["form"]),
    "layer.load": lambda i, p: layer.load(i["r"], p["k"]),
    "layer.collapse": lambda i, p: {"rc": layer.collapse(i["x"], i["index"], p["experts"])},
    "layer.fluctuation": lambda i, p: {"rate": layer.fluctuation(i["a"], i["b"])},
    "layer.change": lambda i, p: {"rate": layer.change(i["a"], i["b"], p["measure"])},
}

BALANCE = {
    "balance.switch": lambda i, p: balance.switch(i["r"], i.get("mask"), p["k"], p["count"], p["divide"], p["scope"],
                                                  p["sequence"], p["reduce"], p["capacity"]),
    "balance.zloss": lambda i, p: {"loss": balance.zloss(i["r"])},
    "balance.importance": lambda i, p: balance.importance(i["g"], p["variance"], p["epsilon"]),
    "balance.load": lambda i, p: balance.load(**i, k=p["k"], variance=p["variance"], epsilon=p["epsilon"],
                                              detach=p["detach"]),
    "balance.gshard": lambda i, p: balance.gshard(i["r"], p["form"], p["count"], p["capacity"]),
    "balance.xmoe": lambda i, p: balance.xmoe(i["s"], p["tau0"], p["count"]),
    "balance.stable": lambda i, p: balance.stable(i["s"], p["alpha"]),
    "balance.entropy": lambda i, p: {"loss": balance.entropy(i["r"], p["scope"], p["sequence"])},
    "balance.deepseek": lambda i, p: balance.deepseek(**i, k=p["k"], sequence=p["sequence"], alpha=p["alpha"]),
    "balance.deepseek.bias": lambda i, p: {"updated": balance.moved_bias(i["bias"], i["load"], p["gamma"])},
    "balance.global": lambda i, p: balance.micro_batches(i["r"], p["k"], p["micro"], p["form"]),
}

COMPETE = {
    "compete.response": lambda i, p: {"s": compete.response(i["o"], p["kind"])},
    "compete.route": lambda i, p: compete.route(i["o"], p["k"], p["version"]),
    "compete.distill": lambda i, p: compete.distillation(**i, k=p["k"], version=p["version"], theta=p["theta"],
                                                         detach=p["detach"], loss=p["loss"], terms=p["terms"]),
    "compete.diversity": lambda i, p: {"loss": compete.diversity(i["o"], p["mean"])},
    "compete.layer": lambda i, p: compete.layer(**i, p=p),
    "compete.balance": lambda i, p: compete.balanced(i["s"], p["k"], p["count"], p["divide"], p["scope"],
                                                     p["sequence"]),
    "compete.mix": lambda i, p: {"s": compete.mix(i["o"], i["r"], p["kind"], p["share"])},
    "compete.lambda": lambda i, p: compete.coin(i["t"], i["u"]),
    "compete.schedule": lambda i, p: compete.schedule(i["u"], p["rate"], p["cap"], p["warm_up"], p["collision"]),
    "compete.step": lambda i, p: compete.step(**i, p=p),
}

OPERATIONS = {**NUMERICS, **EXPERT, **GATE, **LAYER, **BALANCE, **COMPETE, **similarity.OPERATIONS, **simsmoe.OPERATIONS,
              **convergence.OPERATIONS}

# Inputs that are given and never trained: they get no gradient.
CONSTANTS = {
    "gate.jitter": {"noise"},
    "gate.noisy": {"noise"},
    "gate.dropout": {"wr"},
    "gate.gshard": {"u"},
    "gate.hyper": {"v1", "v2"},
    "gate.stable": {"shat"},
    "gate.deepseek": {"bias"},
    "gate.entropy": {"r"},
    "layer.load": {"r"},
    "layer.collapse": {"x"},
    "balance.switch": {"mask"},
    "balance.deepseek": {"bias"},
    "balance.deepseek.bias": {"load", "bias"},
    "compete.lambda": {"t", "u"},
    "compete.schedule": {"u"},
    "compete.step": {"target"},
    **similarity.CONSTANTS, **simsmoe.CONSTANTS, **convergence.CONSTANTS,
}


def tensors(op, inputs, dtype):
    """The inputs in the precision asked for, indices as they are; those that are trained want a gradient."""
    result = {}
    for name, value in inputs.items():
        x = torch.tensor(value)
        if x.is_floating_point():
            x = x.to(dtype).requires_grad_(name not in CONSTANTS.get(op, ()))
        result[name] = x
    return result


def answer(op, parameters, inputs, cotangents, precision):
    """Outputs, and by autograd the gradients of sum(output * cotangent) in every input that is trained."""
    if op not in OPERATIONS:
        raise smoeref_io.Unsupported(f"no operation '{op}' in this client")
    dtype = DTYPE[precision]
    x = tensors(op, inputs, dtype)
    out = OPERATIONS[op](x, parameters)

    seeded = [name for name, value in out.items() if name in cotangents and value.requires_grad]
    if seeded:
        torch.autograd.backward([out[name] for name in seeded],
                                [torch.tensor(cotangents[name]).to(dtype) for name in seeded])
    result = {name: value.detach() for name, value in out.items()}
    for name, value in x.items():
        if value.requires_grad:                                     # no path from it to a seeded output: zero
            result["d_" + name] = torch.zeros_like(value) if value.grad is None else value.grad
    return {name: (v.double() if v.is_floating_point() else v).numpy() for name, v in result.items()}


if __name__ == "__main__":
    smoeref_warm.run(lambda: smoeref_io.main(answer))
