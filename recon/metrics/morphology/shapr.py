"""SHAPR's 126 features under SHAPR's names, for comparison with tables of its users.

The features are those in the header of the notebook "Extract Features from 3D Shapes" in the repository of Waibel et
al. 2022 (iScience 25, 105298), without the name of the file. Names are unchanged, misspelt ones included. All are in
voxels of a 64³ volume, binarized by Otsu's threshold. Many depend on position and orientation; for new work prefer
`features`.

The versions of the notebook's libraries are unknown, and two features depend on them: ``shape_index``, which is no
shape index but the Gaussian curvature within a tangent ball through the centre of mass, whose radius is computed here
by the shrinking ball of the paper that the library cites; and the sign of ``mesh_volume``, whose mesh takes z for x and
is thus inside out.
"""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float, Int, Num

from ...errors import DataError
from ...io.table import Column
from ..shapes import otsu_binarize, roughness_voxels, surface_voxels

if TYPE_CHECKING:
    import trimesh

EDGE = 64
"""Number of samples along each edge of a volume."""
_MIDDLE = EDGE // 2
_NAMES = (
    *("volume", "surface", "mean", "xy_bounary", "xz_boundary", "yz_boundary", "boundary_3D", "shape_index"),
    *("roughness", "gauss_roughness", "convexity", "zsum_mean", "zsum_std", "zsum_max"),
    *("mean_faces", "median_faces", "std_faces", "mean_verts", "median_verts", "std_verts"),
    *("moment_cr0_v", "moment_cc0_v", "moment_cr1_v", "moment_cc1_v", "moment_cr2_v", "moment_cc2_v"),
    *("moment_cr_zsum", "moment_cc_zsum", "glcm_diss", "glcm_corr"),
    *("inertia_eigvals0", "inertia_eigvals1", "inertia_eigvals2", "num_faces", "num_verts", "gabor_zsum"),
    *("mesh_volume", "mesh_convex_hull_volume", "xy_convexity", "xz_convexity", "yz_convexity"),
    *(f"gabor{i}" for i in range(EDGE)),
    *(f"mesh_intertia{i}" for i in range(9)),
    *(f"mesh_principal0{i}" for i in range(3)),
    *(f"mesh_principal1{i}" for i in range(9)),
)
COLUMNS = tuple(Column(name, "", "as SHAPR has it, in voxels") for name in _NAMES)
_ROUNDS = 100
_TIGHT = 1e-6
_TOUCHING = 1e-6

Inside = Bool[np.ndarray, "z y x"]
Section = Bool[np.ndarray, "y x"]


def shapr_features(values: Num[np.ndarray, "z y x"] | Inside) -> dict[str, float]:
    """Compute SHAPR's features of a shape.

    Args:
        values: Occupancy of 64³ samples.

    Raises:
        DataError: If it is of another size, empty, or not finite.
    """
    if values.shape != (EDGE,) * 3:
        raise DataError(f"a volume of {values.shape} samples; SHAPR's features are those of 64 x 64 x 64")
    inside = otsu_binarize(values)
    if not inside.any() or inside.all():
        raise DataError("the shape is empty, or fills its box: it has no surface")
    features = (
        _voxel_features(inside) | _section_features(inside) | _thickness_features(inside) | _mesh_features(inside)
    )
    return {name: float(features[name]) for name in _NAMES}


def _voxel_features(inside: Inside) -> dict[str, float]:
    from skimage.measure import inertia_tensor_eigvals, moments

    solid = inside.astype(float)
    raw = moments(solid)
    ratios = {
        f"moment_{letter}{i}_v": raw[(i, *index)] / raw[i, 0, 0]
        for i in range(3)
        for letter, index in (("cr", (0, 1)), ("cc", (1, 0)))
    }
    return {
        "volume": solid.sum(),
        "mean": solid.mean(),
        "boundary_3D": surface_voxels(inside),
        "gauss_roughness": roughness_voxels(inside),
        "convexity": hull_voxels(inside) - solid.sum(),
        **ratios,
        **_numbered("inertia_eigvals", inertia_tensor_eigvals(solid)),
    }


def hull_voxels(inside: Inside) -> int:
    """Count the voxels whose centres lie in the convex hull of a shape's voxels, as scikit-image does.

    Its own function takes half a minute for 64³: it tests every voxel against both triangles of every face of the hull.
    """
    from scipy.ndimage import binary_erosion
    from scipy.spatial import ConvexHull

    rim = np.argwhere(inside & ~binary_erosion(inside))
    halves = np.concatenate([np.eye(3), -np.eye(3)]) / 2
    hull = ConvexHull((rim[:, None] + halves).reshape(-1, 3))
    planes = np.unique(np.round(hull.equations, 9), axis=0)
    low, high = rim.min(axis=0), rim.max(axis=0) + 1
    points = np.argwhere(~inside[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]) + low
    for plane in planes:
        points = points[points @ plane[:3] + plane[3] <= _TOUCHING]
    return int(np.count_nonzero(inside)) + len(points)


def _section_features(inside: Inside) -> dict[str, float]:
    from skimage.filters import gabor

    xy, xz, yz = inside[_MIDDLE], inside[:, _MIDDLE], inside[:, :, _MIDDLE]
    return {
        "xy_bounary": _boundary_pixels(xy),
        "xz_boundary": _boundary_pixels(xz),
        "yz_boundary": _boundary_pixels(yz),
        **{f"{name}_convexity": _hull_deficit(section) for name, section in (("xy", xy), ("xz", xz), ("yz", yz))},
        **_numbered("gabor", [gabor(plane.astype(float), 1)[0].sum() for plane in inside]),
    }


def _boundary_pixels(section: Section) -> int:
    """Count the pixels inside that touch the outside."""
    from scipy.ndimage import binary_dilation

    return int(np.count_nonzero(binary_dilation(~section, np.ones((3, 3), bool)) & section))


def _hull_deficit(section: Section) -> int:
    """Count the pixels of the convex hull outside the section."""
    from skimage.morphology import convex_hull_image

    return int(np.count_nonzero(convex_hull_image(section) & ~section)) if section.any() else 0


def _thickness_features(inside: Inside) -> dict[str, float]:
    from skimage.feature import graycomatrix, graycoprops
    from skimage.filters import gabor
    from skimage.measure import moments

    zsum = inside.sum(axis=0).astype(float)
    counts = graycomatrix(zsum.astype(np.uint8), distances=[5], angles=[0], levels=256, symmetric=True, normed=True)
    raw = moments(zsum)
    return {
        "zsum_mean": zsum.mean(),
        "zsum_std": zsum.std(),
        "zsum_max": zsum.max(),
        "glcm_diss": graycoprops(counts, "dissimilarity")[0, 0],
        "glcm_corr": graycoprops(counts, "correlation")[0, 0],
        "moment_cr_zsum": raw[0, 1] / raw[0, 0],
        "moment_cc_zsum": raw[1, 0] / raw[0, 0],
        "gabor_zsum": gabor(zsum, 1)[0].sum(),
    }


def _mesh_features(inside: Inside) -> dict[str, float]:
    import trimesh
    from skimage.measure import marching_cubes, mesh_surface_area

    vertices, faces = marching_cubes(inside.astype(np.float32) * 255)[:2]
    mesh = trimesh.Trimesh(vertices, faces, process=False)
    components, vectors = trimesh.inertia.principal_axis(mesh.moment_inertia)
    return {
        "surface": float(mesh_surface_area(vertices, faces)),
        "shape_index": _curvature_in_ball(mesh, np.argwhere(inside).mean(axis=0)),
        **_statistics("faces", faces),
        **_statistics("verts", vertices),
        "num_faces": len(faces),
        "num_verts": len(vertices),
        "mesh_volume": mesh.volume,
        "mesh_convex_hull_volume": mesh.convex_hull.volume,
        **_numbered("mesh_intertia", np.ravel(mesh.moment_inertia)),
        **_numbered("mesh_principal0", components),
        **_numbered("mesh_principal1", np.ravel(vectors)),
        "roughness": np.linalg.norm(
            vertices - trimesh.smoothing.filter_humphrey(mesh).vertices
        ),  # Moves the vertices of the mesh itself.
    }


def _statistics(name: str, values: Num[np.ndarray, "n 3"]) -> dict[str, float]:
    mean, median, spread = float(np.mean(values)), float(np.median(values)), float(np.std(values))
    return {f"mean_{name}": mean, f"median_{name}": median, f"std_{name}": spread}


def _numbered(name: str, values: Float[np.ndarray, " _n"] | list[float] | Int[np.ndarray, " _n"]) -> dict[str, float]:
    return {f"{name}{i}": float(value) for i, value in enumerate(values)}


def _curvature_in_ball(mesh: "trimesh.Trimesh", centre: Float[np.ndarray, " 3"]) -> float:
    """Compute the mean over the vertices of the sum of angle defects within a ball around each.

    The sum over pairs is that of each vertex' defect times the number of vertices within its ball.
    """
    radius = _tangent_radius(mesh, centre)
    if not np.isfinite(radius):
        return float("nan")
    near = mesh.kdtree.query_ball_point(mesh.vertices, radius, return_length=True)
    return float(np.sum(mesh.vertex_defects * near) / len(mesh.vertices))


def _tangent_radius(mesh: "trimesh.Trimesh", point: Float[np.ndarray, " 3"]) -> float:
    """Compute the radius of the ball that touches the mesh and a point, on the side away from the nearest face.

    The method is the shrinking ball of Inui, Umezu and Shimane 2016 (Computer-Aided Design and Applications 13, 199).
    """
    nearest = int(np.argmin(np.linalg.norm(mesh.triangles_center - point, axis=1)))
    normal = -np.asarray(mesh.face_normals[nearest])
    radius = float(np.linalg.norm(mesh.extents)) / 2
    for _ in range(_ROUNDS):
        distance, index = mesh.kdtree.query(point + normal * radius)
        offset = np.asarray(mesh.vertices[index]) - point
        if distance >= radius * (1 - _TIGHT) or offset @ normal <= 0:
            return radius
        radius = float(offset @ offset / (2 * offset @ normal))
    return radius
