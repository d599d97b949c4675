"""Dual contouring: a closed surface through a sampled field that keeps sharp edges.

Each pair of neighbouring samples of which one is inside is a *crossing*, with a point on the surface and a normal. Each
cell of 2 × 2 × 2 samples that the surface passes has a vertex for each patch of surface in it, at the point that lies
nearest to the tangent planes of the patch's crossings: on a sharp edge or corner where they meet at an angle (Ju et al.
2002, ACM Trans. Graph. 21, 339). Each crossing is a face between the vertices of the four cells around it. Patches are
those of the dual of marching cubes, so that the surface is closed and no edge has more than two faces (Nielson 2004,
IEEE Visualization, 489); samples inside that touch by an edge or a corner only are not connected.

Normals are averages over neighbouring crossings. The weight of a neighbour falls with its distance, and with the angle
between the normals, so that those across a sharp edge have none (a bilateral filter: Sun et al. 2007, IEEE Trans. Vis.
Comput. Graph. 13, 925). Of one-bit samples, all that is known of a crossing is the face between two voxels: the average
of these faces is the normal, from which digital surface integration has its area (Lachaud and Thibert 2016, J. Math.
Imaging Vis. 54, 162), the average of their places the point, and the enclosed volume is that of the voxels.

Lengths are in samples, axes ``z y x``.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import sparse

Inside = Bool[np.ndarray, "z y x"]
Points = Float[np.ndarray, "n 3"]
Triangles = tuple[Float[np.ndarray, "v 3"], Int[np.ndarray, "f 3"]]

WIDTH = 1.2
"""Standard deviation of the weights of neighbouring crossings."""
_REACH = 2.2
"""Distance of the furthest neighbour, in standard deviations."""
_ROUNDS = 4
"""Number of filters, each with the angles that the one before left."""
_LEAST_COSINE = 0.5
"""Cosine of the angle between normals from which a neighbour has no weight."""
_OPPOSITE = -0.5
"""Cosine below which a neighbour lies on the other side of a thin shape, and has no weight from the start."""
_PULL = 0.01
"""Weight of a patch's middle against its tangent planes, which keeps its vertex near where they are parallel."""
_FURTHEST = 1.2
"""Distance of the furthest vertex from the middle of its patch."""
_FURTHEST_POINT = 1.0
"""Distance by which a point moves at most."""
_PLANE_ROUNDS = 3
"""Number of fits of planes to the points of a field."""
_LEAST_SHARE = 1e-3
"""Least distance of a point from a sample."""
_VOLUME_ROUNDS = 3


@dataclass(frozen=True, eq=False)
class Crossings:
    """Pairs of neighbouring samples of which one is inside.

    Args:
        points: Points of the surface between the two samples.
        normals: Outward unit normals.
        axis: Axis along which each pair lies.
        outward: Direction to the outer sample along that axis, 1 or -1.
        ids: For each axis, the number of the crossing between a sample and the next one; -1 where there is none.
    """

    points: Points
    normals: Points
    axis: Int[np.ndarray, " n"]
    outward: Int[np.ndarray, " n"]
    ids: tuple[Int[np.ndarray, "z y x"], ...]


def contour_voxels(inside: Inside, enclosed: float | None = None, width: float = WIDTH) -> Triangles:
    """Extract the surface of one-bit samples, which encloses as much as their voxels.

    Args:
        inside: Samples inside; none on the faces of the array.
        enclosed: Number of voxels to enclose, if it is another one.
        width: Standard deviation of the weights of neighbouring crossings.

    Returns:
        Vertices, and faces that are anticlockwise as seen from outside in right-handed (x, y, z).
    """
    crossings = find_crossings(inside)
    weights, normals = _filtered(crossings.points, crossings.normals, width)
    moved = _projected(crossings.points, normals, weights)
    patches = find_patches(inside, crossings)
    quads = _quads(crossings, patches)
    points, target = moved, float(np.count_nonzero(inside)) if enclosed is None else enclosed
    for _ in range(_VOLUME_ROUNDS):
        vertices = place_vertices(points, normals, patches)
        faces = _triangles(vertices, quads)
        volume, area = _volume_and_area(vertices, faces)
        points = points + normals * ((target - volume) / area)
    vertices = place_vertices(points, normals, patches)
    return vertices, _triangles(vertices, quads)


def contour_field(field: Float[np.ndarray, "z y x"]) -> Triangles:
    """Extract the surface on which a field is 0.

    Args:
        field: Field, positive inside; not on the faces of the array.

    Returns:
        Vertices, and faces that are anticlockwise as seen from outside in right-handed (x, y, z).
    """
    crossings = find_crossings(field > 0)
    points = _at_zeros(crossings, field)
    weights, normals = _filtered(crossings.points, crossings.normals)
    for _ in range(_PLANE_ROUNDS):
        normals = _plane_normals(points, normals, weights)
        weights = _reweighted(points, normals, weights)
    patches = find_patches(field > 0, crossings)
    vertices = place_vertices(points, normals, patches)
    return vertices, _triangles(vertices, _quads(crossings, patches))


def crossing_count(inside: Inside) -> int:
    """Count the pairs of neighbouring samples of which one is inside."""
    return sum(int(np.count_nonzero(_without(inside, axis, -1) != _without(inside, axis, 0))) for axis in range(3))


def find_crossings(inside: Inside) -> Crossings:
    """Find the pairs of neighbouring samples of which one is inside; points half-way, normals along the axes."""
    ids, points, axes, signs = [], [], [], []
    count = 0
    for axis in range(3):
        low, high = (_without(inside, axis, end) for end in (-1, 0))
        places = np.argwhere(low != high)
        own = np.full(inside.shape, -1, np.int64)
        own[tuple(places.T)] = count + np.arange(len(places))
        ids.append(own)
        points.append(places + 0.5 * np.eye(3)[axis])
        axes.append(np.full(len(places), axis))
        signs.append(np.where(low[tuple(places.T)], 1, -1))
        count += len(places)
    axis_of, outward = np.concatenate(axes), np.concatenate(signs)
    normals = np.eye(3)[axis_of] * outward[:, None]
    return Crossings(np.concatenate(points), normals, axis_of, outward, tuple(ids))


def _without(array: np.ndarray, axis: int, end: int) -> np.ndarray:
    """Leave out the first (0) or the last (-1) sample along an axis."""
    part = slice(1, None) if end == 0 else slice(None, -1)
    return array[tuple(part if i == axis else slice(None) for i in range(3))]


def _at_zeros(crossings: Crossings, field: Float[np.ndarray, "z y x"]) -> Points:
    """Interpolate the points on which a field is 0 between the samples of each pair."""
    low = np.floor(crossings.points).astype(int)
    step = np.eye(3, dtype=int)[crossings.axis]
    first, second = (field[tuple(each.T)] for each in (low, low + step))
    share = np.clip(first / (first - second), _LEAST_SHARE, 1 - _LEAST_SHARE)
    return np.asarray(low + step * share[:, None])


def _unit(vectors: Points) -> Points:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1), np.finfo(float).tiny)[:, None])


def _filtered(points: Points, normals: Points, width: float = WIDTH) -> tuple[sparse.csr_matrix, Points]:
    """Filter normals over neighbours; return the last weights too."""
    from scipy.spatial import cKDTree

    pairs = cKDTree(points).query_pairs(width * _REACH, output_type="ndarray")
    own = np.arange(len(points))
    i, j = (np.concatenate([pairs[:, a], pairs[:, b], own]) for a, b in ((0, 1), (1, 0)))
    near = np.einsum("ij,ij->i", normals[i], normals[j]) > _OPPOSITE
    i, j = i[near], j[near]
    closeness = _closeness(points, i, j, width)
    shape = (len(points), len(points))
    weights, filtered = sparse.csr_matrix((closeness, (i, j)), shape), normals
    for _ in range(_ROUNDS + 1):
        filtered = _unit(weights @ normals)
        weights = sparse.csr_matrix((closeness * _likeness(filtered, i, j), (i, j)), shape)
    return weights, filtered


def _closeness(points: Points, i: np.ndarray, j: np.ndarray, width: float) -> Float[np.ndarray, " pair"]:
    """Compute the weights of pairs of crossings by their distance."""
    return np.asarray(np.exp(-((points[i] - points[j]) ** 2).sum(axis=1) / (2 * width**2)))


def _likeness(normals: Points, i: np.ndarray, j: np.ndarray) -> Float[np.ndarray, " pair"]:
    """Compute the weights of pairs of crossings by the angle between their normals."""
    return np.asarray(np.maximum(np.einsum("ij,ij->i", normals[i], normals[j]) - _LEAST_COSINE, 0) ** 2)


def _plane_normals(points: Points, normals: Points, weights: sparse.csr_matrix) -> Points:
    """Return the normals of planes through each point's neighbours; the old ones where there is no such plane."""
    total = np.maximum(np.asarray(weights.sum(axis=1)).ravel(), np.finfo(float).tiny)[:, None]
    middle = (weights @ points) / total
    squares = (weights @ (points[:, :, None] * points[:, None]).reshape(-1, 9)) / total
    spread = squares.reshape(-1, 3, 3) - middle[:, :, None] * middle[:, None]
    fitted = np.linalg.eigh(spread)[1][:, :, 0]
    along = np.einsum("ij,ij->i", fitted, normals)
    fitted = fitted * np.sign(along)[:, None]
    return np.where(np.abs(along)[:, None] > _LEAST_COSINE, fitted, normals)


def _reweighted(points: Points, normals: Points, weights: sparse.csr_matrix) -> sparse.csr_matrix:
    """Compute the weights of the same neighbours for other normals."""
    pattern = weights.tocoo()
    i, j = pattern.row, pattern.col
    return sparse.csr_matrix((_closeness(points, i, j, WIDTH) * _likeness(normals, i, j), (i, j)), weights.shape)


def _projected(points: Points, normals: Points, weights: sparse.csr_matrix) -> Points:
    """Move points along their normals to the mean plane of their neighbours."""
    total = np.maximum(np.asarray(weights.sum(axis=1)).ravel(), np.finfo(float).tiny)
    height = np.einsum("ij,ij->i", (weights @ points) / total[:, None] - points, normals)
    return np.asarray(points + np.clip(height, -_FURTHEST_POINT, _FURTHEST_POINT)[:, None] * normals)


def find_patches(inside: Inside, crossings: Crossings) -> Int[np.ndarray, "n 4"]:
    """Number the patches of surface in the cells, and find those of the four cells around each crossing.

    The cells of a crossing are numbered 2(u + 1) + v + 1, where u and v, -1 or 0, are their offsets along the other two
    axes. Two crossings are in one patch if a face of the cell links them; of four crossings on a face, those beside one
    sample inside are linked.
    """
    from scipy.sparse.csgraph import connected_components

    links = [link for axis in range(3) for link in _links_on_faces(inside, crossings.ids, axis)]
    one, other = (np.concatenate([link[side] for link in links]) for side in (0, 1))
    count = 4 * len(crossings.points)
    graph = sparse.csr_matrix((np.ones(len(one), bool), (one, other)), (count, count))
    return np.asarray(connected_components(graph, directed=False)[1]).reshape(-1, 4).astype(np.int64)


def _links_on_faces(
    inside: Inside, ids: tuple[Int[np.ndarray, "z y x"], ...], normal: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield linked crossings, as 4 times their number plus that of the cell, on the faces normal to an axis."""
    a, b = (axis for axis in range(3) if axis != normal)
    corner = _at(inside, a, b, 0, 0)
    sides = ((a, 0), (a, 1), (b, 0), (b, 1))  # Axis of a side of the face, and its place along the other axis.
    own = np.stack([_at(ids[axis], a, b, *((0, at) if axis == a else (at, 0))) for axis, at in sides], axis=-1)
    count = np.count_nonzero(own >= 0, axis=-1)
    pairs = [(own[count == 2], i, j) for i in range(4) for j in range(i + 1, 4)]
    for chosen, links in ((corner, ((0, 2), (1, 3))), (~corner, ((0, 3), (1, 2)))):
        pairs += [(own[(count == 4) & chosen], i, j) for i, j in links]
    for rows, i, j in pairs:
        both = rows[(rows[:, i] >= 0) & (rows[:, j] >= 0)]
        for cell in (-1, 0):
            yield tuple(_node(both[:, side], *sides[side], normal, cell) for side in (i, j))  # type: ignore[misc]


def _at(array: np.ndarray, a: int, b: int, first: int, second: int) -> np.ndarray:
    """Return the samples at a corner of each face that is spanned by two axes."""
    part = {a: first, b: second}
    return array[tuple(slice(part[i], array.shape[i] - 1 + part[i]) if i in part else slice(None) for i in range(3))]


def _node(crossing: np.ndarray, axis: int, place: int, normal: int, cell: int) -> np.ndarray:
    """Return 4 times the crossing plus the number of its cell, on one side of a face on which it has a place."""
    u, v = (cell if other == normal else -place for other in range(3) if other != axis)
    return 4 * crossing + 2 * (u + 1) + v + 1


def place_vertices(points: Points, normals: Points, patches: Int[np.ndarray, "n 4"]) -> Float[np.ndarray, "v 3"]:
    """Place the vertex of each patch at the point nearest to the tangent planes of its crossings."""
    count = int(patches.max()) + 1
    rows, columns = patches.ravel(), np.repeat(np.arange(len(points)), 4)
    members = sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), (count, len(points)))
    middle = (members @ points) / np.asarray(members.sum(axis=1))
    squares = (members @ (normals[:, :, None] * normals[:, None]).reshape(-1, 9)).reshape(-1, 3, 3)
    offsets = members @ (normals * np.einsum("ij,ij->i", normals, points)[:, None])
    pulled = squares + _PULL * np.eye(3), offsets + _PULL * middle
    moved = np.linalg.solve(pulled[0], pulled[1][..., None])[..., 0] - middle
    length = np.maximum(np.linalg.norm(moved, axis=1), np.finfo(float).tiny)
    return np.asarray(middle + moved * np.minimum(1, _FURTHEST / length)[:, None])


def _quads(crossings: Crossings, patches: Int[np.ndarray, "n 4"]) -> Int[np.ndarray, "n 4"]:
    """Return the vertices around each crossing, anticlockwise as seen from outside in right-handed (x, y, z)."""
    around = patches[:, [0, 2, 3, 1]]
    # The other axes are a right-handed pair about z and x, and a left-handed one about y; (x, y, z) mirrors (z, y, x).
    clockwise = (crossings.outward > 0) ^ (crossings.axis == 1)
    around[clockwise] = around[clockwise][:, ::-1]
    return around


def _triangles(vertices: Float[np.ndarray, "v 3"], quads: Int[np.ndarray, "n 4"]) -> Int[np.ndarray, "f 3"]:
    """Cut quadrilaterals along their shorter diagonals."""
    diagonals = (np.linalg.norm(vertices[quads[:, a]] - vertices[quads[:, a + 2]], axis=1) for a in (0, 1))
    one, other = diagonals
    first = np.where((one <= other)[:, None], quads[:, [0, 1, 2]], quads[:, [0, 1, 3]])
    second = np.where((one <= other)[:, None], quads[:, [0, 2, 3]], quads[:, [1, 2, 3]])
    return np.concatenate([first, second])


def _volume_and_area(vertices: Float[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"]) -> tuple[float, float]:
    """Compute the enclosed volume and the area of a surface."""
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    cross = np.cross(b - a, c - a)
    # Vertices are (z, y, x), in which faces are clockwise.
    return -float(np.einsum("ij,ij->", a, cross)) / 6, float(np.linalg.norm(cross, axis=1).sum()) / 2
