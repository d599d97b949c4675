"""Read an unflat model file with NumPy and h5py: `read_model("model.h5")(points)`; see docs/reference/model-file.md."""

import json

import h5py
import numpy as np

gelu = lambda x: 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
layer = lambda w, name, x: x @ w[name.format("w")] + w[name.format("b")]
smooth = lambda t: (u := np.clip(t, 0, 1)) ** 3 * (10 + u * (6 * u - 15))
rise = lambda x, a, b: smooth((x - a) / (b - a)) if b != a else np.ones(np.shape(x))


def read_model(path, at=None):
    """Return the model, after its self-test: points (n, 3), z, y, x in metres, to values (n,) by the quantity.

    A series is taken at one of its positions, by default the last.
    """
    with h5py.File(path) as file:
        architecture, weights = json.loads(file["architecture"][()]), {}
        file["weights"].visititems(lambda n, d: weights.update({n: d[()]} if isinstance(d, h5py.Dataset) else {}))
        names = [n.decode() for n in file["quantities/name"][()]]
        background, scale = (file[f"quantities/{key}"][()] for key in ("background", "scale"))
        asked, expected, affine = (
            file[n][()] for n in ("selftest/points", "selftest/values", "frame/world_from_model")
        )
        positions = file["series/positions"][()] if "series" in file else [0.0]
        boxes, windows = (file["tiles"][n][()] if "tiles" in file else [] for n in ("bounding_box", "window"))
    parts = [[(n.partition("/")[2], w) for n, w in weights.items() if f"tile_{i}/" in n] for i in range(len(boxes))]
    maps = [np.vstack([np.column_stack([np.diag(b - a), a + b]) / 2, [0, 0, 0, 1]]) for a, b in boxes] or [affine]

    def one(points, affine, weights, architecture):
        members = sorted({n[: n.find("/") + 1] * n.startswith(("member_", "consensus/")) for n in weights})
        sets = [{n.removeprefix(m): w.astype(float) for n, w in weights.items() if n.startswith(m)} for m in members]
        c, s = np.array(members) == "consensus/", (points - affine[:3, 3]) @ np.linalg.inv(affine[:3, :3]).T
        inside = (np.abs(s) <= 1 + 1e-9).all(axis=1)
        raw = np.array([evaluated(architecture, w, s)[:, : len(names)] for w in sets])
        values = background + architecture.get("contrast", 1) * scale * raw
        draws, middle = values[~c], (values[c] if c.any() else values).mean(axis=0)
        result = dict(zip(names, np.where(inside, middle.T, background[:, None])))
        spread = zip(names, draws.std(axis=0, ddof=len(draws) > 1).T * inside)
        return result | ({"uncertainty_" + n: u for n, u in spread} if len(draws) > 1 else {})

    def model(points, at=positions[-1] if at is None else at):
        p, own, architecture_at = np.asarray(points, float), weights, architecture
        if "series" in architecture:
            own, architecture_at = at_position(architecture, weights, positions, at)
        window = lambda w: np.prod([rise(x, a, b) * rise(x, d, c) for x, (a, b, c, d) in zip(p.T, w)], axis=0)
        shares = np.array([window(w) for w in windows] or [[1.0]])
        tiles = [one(p, *part, architecture_at) for part in zip(maps, map(dict, parts or [own]))]
        return {n: sum(u * tile[n] for u, tile in zip(shares, tiles)) / sum(shares) for n in tiles[0]}

    third = (2 * positions[0] + positions[min(1, len(positions) - 1)]) / 3  # The position of the test of a series.
    given = np.stack([*model(asked, third).values()], 1)
    if not np.allclose(given, expected, rtol=1e-9, atol=1e-6 * np.ptp(expected, axis=0)):
        raise ValueError(f"{path}: the model does not give the values of its self-test")
    return model


def at_position(architecture, weights, positions, at):
    if not positions[0] <= at <= positions[-1]:
        raise ValueError(f"{at} lies outside the series, {positions[0]} to {positions[-1]}")
    i = int(np.clip(np.searchsorted(positions, at, side="right"), 1, len(positions) - 1)) - 1
    f, series = (at - positions[i]) / (positions[i + 1] - positions[i]), architecture["series"]
    between = lambda w: (1 - f) * w[i].astype(float) + f * w[i + 1].astype(float)
    own = {n: between(w) if n in [*series["varying"], "motion"] else w for n, w in weights.items()}
    motion = own.pop("motion", np.zeros(7))
    moved = {"shift": motion[:3], "stretch": np.exp(motion[3:6])}
    return own, architecture | {"motion": moved, "contrast": np.exp(motion[6])}


def evaluated(architecture, w, s):
    motion = architecture.get("motion", {"stretch": 1, "shift": 0})
    s = np.clip(s * np.array(motion["stretch"]) + np.array(motion["shift"]), -1, 1)
    s, signs = np.clip(s, -1, 1), np.broadcast_to(architecture.get("sign", "any"), architecture.get("outputs", 1))
    bend = np.array([("nonpositive", "any", "nonnegative").index(sign) - 1 for sign in signs])
    signed = lambda raw: np.where(bend == 0, raw, (raw + bend * np.sqrt(raw**2 + 4 * 0.05**2)) / 2)
    rim = lambda w, s: spline(np.repeat(w["rim"][:, None], 4, axis=1), s * [0, 1, 1])
    section = lambda a, w, s: spline(w["grid"], s) + np.exp(-0.5 * (s[:, :1] / a["width"]) ** 2) * rim(w, s)
    known = {"pyramid": pyramid, "voxels": voxels, "fourier": fourier, "section": section}
    field = lambda p: signed(known[architecture["type"]](architecture, w, np.clip(p, -1, 1)))
    return crystal(architecture["head"], w, field, s) if "head" in architecture else field(s)


def crystal(head, w, field, s):
    wave = lambda p: field(p)[:, 1:3] @ [1, 1j] * np.exp(-1j * (w["head/plane"][0] + p @ w["head/plane"][1:]))
    grid, step = w.get("head/reference", np.zeros((1,) * 4)), np.array(head.get("step", [0] * 3))
    near = voxels({}, {"grid": grid}, s)[:, 0]
    inside = (occupancy := 1 / (1 + np.exp(-head["sharpness"] * field(s)[:, 0]))) * np.abs(wave(s)) >= head["surface"]
    phase = np.where(inside, near + np.angle(wave(s) * np.exp(-1j * near)), 0)
    slope = np.where(inside, np.angle(wave(s + step) * wave(s - step).conj()) / head.get("length", 1), 0)
    return np.stack([occupancy * np.abs(wave(s)), phase, occupancy, phase, slope], axis=1)


def interpolated(grid, first, weights):
    total = 0
    for corner in np.ndindex(*[weights.shape[2]] * 3):
        z, y, x = np.minimum(first + corner, np.array(grid.shape[1:]) - 1).T
        total = total + grid[:, z, y, x] * np.prod([weights[:, axis, c] for axis, c in enumerate(corner)], axis=0)
    return total.T


def spline(grid, s):
    t = (s + 1) / 2 * (np.array(grid.shape[1:]) - 3)
    first = np.clip(np.floor(t).astype(int), 0, np.array(grid.shape[1:]) - 4)
    cubic = [(1 - (f := t - first)) ** 3, 3 * f**3 - 6 * f**2 + 4, -3 * f**3 + 3 * f**2 + 3 * f + 1, f**3]
    return interpolated(grid, first, np.stack(cubic, axis=-1) / 6)


def pyramid(architecture, w, s):
    levels = [spline(w[f"grid_{i}"], s) for i in range(len(architecture["levels"]))]
    direct, features = sum(level[:, : architecture["outputs"]] for level in levels), np.concatenate(levels, axis=1)
    return direct + (layer(w, "decoder/{}1", gelu(layer(w, "decoder/{}0", features))) if architecture["hidden"] else 0)


def voxels(architecture, w, s):
    shape = np.array(w["grid"].shape[1:])
    t = np.clip((s + 1) / 2 * shape - 0.5, 0, shape - 1)
    first = np.clip(np.floor(t).astype(int), 0, np.maximum(shape - 2, 0))
    return interpolated(w["grid"], first, np.stack([1 - (t - first), t - first], axis=-1))


def fourier(architecture, w, s):
    (z, y, x), octaves = s.T, np.pi * 2.0 ** np.arange(32)
    turns = [(np.cos(a), np.sin(a)) for a in np.pi * np.arange(architecture["angles"]) / architecture["angles"]]
    across = [p for c, d in turns for p in (y * c + x * d, x * c - y * d)]
    waves = [k * p for k in octaves[: architecture["frequencies_lateral"]] for p in across]
    waves += [k * z for k in octaves[: architecture["frequencies_axial"]]]
    h = encoding = np.stack([z, y, x, *(part(p) for p in waves for part in (np.sin, np.cos))], axis=1)
    for i in range(architecture["depth"] + 1):
        h = np.concatenate([h, encoding], axis=1) if i in architecture["skip"] else h
        h = (gelu if i < architecture["depth"] else np.array)(layer(w, f"layer_{i}/{{}}", h))
    return h
