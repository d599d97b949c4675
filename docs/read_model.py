"""Read an unflat model file with NumPy and h5py alone: `values = read_model("model.h5")(points)`.

Points are (n, 3): z, y, x in metres; values are arrays (n,) by quantity's name. docs/model-file.md gives the formulas.
"""
# ruff: noqa: ANN001, ANN201, ANN202, B905, D103

import json

import h5py
import numpy as np


def read_model(path):
    """Give the model as a function of points, after its own test."""
    with h5py.File(path) as file:
        architecture = json.loads(file["architecture"][()])
        weights = {}
        file["weights"].visititems(lambda n, d: weights.update({n: d[()]} if isinstance(d, h5py.Dataset) else {}))
        affine = file["frame/world_from_model"][()]
        names = [n.decode() for n in file["quantities/name"][()]]
        background, scale = (file[f"quantities/{key}"][()] for key in ("background", "scale"))
        test_points, test_values = file["selftest/points"][()], file["selftest/values"][()]
    members = sorted({n.split("/")[0] + "/" if n.startswith("member_") else "" for n in weights})
    sets = [{n.removeprefix(m): w.astype(float) for n, w in weights.items() if n.startswith(m)} for m in members]

    def model(points):
        s = (np.asarray(points, float) - affine[:3, 3]) @ np.linalg.inv(affine[:3, :3]).T
        inside = (np.abs(s) <= 1 + 1e-9).all(axis=1)
        raw = [FIELDS[architecture["type"]](architecture, w, np.clip(s, -1, 1)) for w in sets]
        values = np.array([background + scale * signed(r, architecture["sign"]) for r in raw])
        result = dict(zip(names, np.where(inside, values.mean(axis=0).T, background[:, None])))
        if len(sets) > 1:
            spread = np.where(inside, values.std(axis=0, ddof=1).T, 0)
            result |= {"uncertainty_" + n: u for n, u in zip(names, spread)}
        return result

    given = np.stack(list(model(test_points).values()), axis=1)
    if not np.allclose(given, test_values, rtol=1e-9, atol=1e-6 * np.abs(scale).max()):
        raise ValueError(f"{path}: the model does not give the values of its self-test")
    return model


def signed(raw, sign):
    signs = [sign] * raw.shape[1] if isinstance(sign, str) else sign
    direction = np.array([{"any": 0, "nonnegative": 1, "nonpositive": -1}[word] for word in signs])
    return np.where(direction == 0, raw, (raw + direction * np.sqrt(raw**2 + 4 * 0.05**2)) / 2)


def gelu(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def interpolated(grid, first, weights):
    """Sum grid (f, z, y, x) over the neighbours of each point; first (n, 3), weights (n, 3, neighbours)."""
    total = 0
    for corner in np.ndindex(*[weights.shape[2]] * 3):
        z, y, x = np.minimum(first + corner, np.array(grid.shape[1:]) - 1).T
        total = total + grid[:, z, y, x] * np.prod([weights[:, axis, c] for axis, c in enumerate(corner)], axis=0)
    return total.T


def pyramid(architecture, w, s):
    levels = []
    for i, level in enumerate(np.array(architecture["levels"])):
        t = (s + 1) / 2 * (level - 3)
        first = np.clip(np.floor(t).astype(int), 0, level - 4)
        f = t - first
        cubic = np.stack([(1 - f) ** 3, 3 * f**3 - 6 * f**2 + 4, -3 * f**3 + 3 * f**2 + 3 * f + 1, f**3], axis=-1) / 6
        levels.append(interpolated(w[f"grid_{i}"], first, cubic))
    direct = sum(level[:, : architecture["outputs"]] for level in levels)
    if architecture["hidden"] == 0:
        return direct
    hidden = gelu(np.concatenate(levels, axis=1) @ w["decoder/w0"] + w["decoder/b0"])
    return direct + hidden @ w["decoder/w1"] + w["decoder/b1"]


def voxels(architecture, w, s):
    shape = np.array(architecture["shape"])
    t = np.clip((s + 1) / 2 * shape - 0.5, 0, shape - 1)
    first = np.clip(np.floor(t).astype(int), 0, np.maximum(shape - 2, 0))
    return interpolated(w["grid"], first, np.stack([1 - (t - first), t - first], axis=-1))


def fourier(architecture, w, s):
    z, y, x = s.T
    columns, count = [z, y, x], architecture["angles"]
    for k in np.pi * 2.0 ** np.arange(architecture["frequencies_lateral"]):
        for a in np.pi * np.arange(count) / count:
            p, q = y * np.cos(a) + x * np.sin(a), x * np.cos(a) - y * np.sin(a)
            columns += [np.sin(k * p), np.cos(k * p), np.sin(k * q), np.cos(k * q)]
    for k in np.pi * 2.0 ** np.arange(architecture["frequencies_axial"]):
        columns += [np.sin(k * z), np.cos(k * z)]
    h = encoding = np.stack(columns, axis=1)
    for i in range(architecture["depth"] + 1):
        h = np.concatenate([h, encoding], axis=1) if i in architecture["skip"] else h
        h = (gelu if i < architecture["depth"] else np.array)(h @ w[f"layer_{i}/w"] + w[f"layer_{i}/b"])
    return h


FIELDS = {"pyramid": pyramid, "voxels": voxels, "fourier": fourier}
