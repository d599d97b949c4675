/**
 * Shader of the volume rendering: one parallel ray a pixel through the box of the model.
 *
 * Lengths are in units of the longest edge of the box, (x, y, z) about its centre. The laboratory has x right, y down
 * and z away from the viewer, so that rays run along +z. Values are 0 and 1 at the ends of a quantity's range.
 */

/** Modes, with the numbers that the shader knows them by. */
export const MODES = { volume: 0, maximum: 1, surface: 2, slices: 3 };

export const VERTEX_SHADER = `
in vec3 position;
out vec2 screen;
void main() {
  screen = position.xy;
  gl_Position = vec4(position.xy, 0.0, 1.0);
}`;

export const FRAGMENT_SHADER = `
precision highp float;
precision highp int;
precision highp sampler3D;
uniform sampler3D values;      // gives the colours
uniform sampler3D body;        // gives opacity and surface
uniform sampler3D occupied;    // 0 in blocks of the body with nothing to draw
uniform sampler2D colourMap;
uniform sampler2D opacityCurve;
uniform vec3 boxSize;
uniform vec3 valuesCentre;     // of the box that the samples fill
uniform vec3 valuesSize;
uniform vec3 bodyCentre;
uniform vec3 bodySize;
uniform vec3 voxel;
uniform mat3 toModel;          // from the laboratory to the model
uniform vec2 halfView;
uniform vec2 pan;
uniform vec2 colourRange;
uniform bool cyclic;           // the colours begin again beyond the range
uniform float background;      // of the values
uniform float level;           // on the surface, of the body
uniform float inward;          // 1 where the body has more than the level, -1 where less
uniform float strength;
uniform float stepLength;
uniform vec3 blockSize;
uniform bool otherBody;
uniform bool masked;
uniform vec3 planePoint;
uniform mat3 planeNormals;     // a column each
in vec2 screen;
out vec4 colour;

const int STEPS = 4096;
const float EXTINCTION = 45.0; // per longest edge, at full opacity
const vec3 LIGHT = normalize(vec3(-0.45, -0.6, -0.75));
const vec3 PLAIN = vec3(0.86, 0.80, 0.70);

float bodyAt(vec3 p) { return texture(body, (p - bodyCentre) / bodySize + 0.5).r; }
float valueAt(vec3 p) { return texture(values, (p - valuesCentre) / valuesSize + 0.5).r; }
float insideBy(vec3 p) { return (bodyAt(p) - level) * inward; }
float opacity(float t) { return texture(opacityCurve, vec2(clamp(t, 0.0, 1.0) * 511.0 / 512.0 + 0.5 / 512.0, 0.5)).r; }
vec3 mapped(float value) {
  float t = (value - colourRange.x) / (colourRange.y - colourRange.x);
  t = cyclic ? fract(t) : clamp(t, 0.0, 1.0);
  return texture(colourMap, vec2(t * 255.0 / 256.0 + 0.5 / 256.0, 0.5)).rgb;
}

// Distances along the ray to the box; the first is beyond the second where it misses.
vec2 meetBox(vec3 origin, vec3 direction) {
  vec3 inverse = 1.0 / direction;
  vec3 a = (-0.5 * boxSize - origin) * inverse;
  vec3 b = (0.5 * boxSize - origin) * inverse;
  vec3 near = min(a, b);
  vec3 far = max(a, b);
  return vec2(max(max(near.x, near.y), near.z), min(min(far.x, far.y), far.z));
}

// Distance from which a ray goes on: beyond the block where that is empty, else the same.
float passEmpty(vec3 origin, vec3 direction, float t) {
  vec3 p = (origin + t * direction - bodyCentre + 0.5 * bodySize) / blockSize;
  ivec3 block = clamp(ivec3(floor(p)), ivec3(0), textureSize(occupied, 0) - 1);
  if (texelFetch(occupied, block, 0).r > 0.5) return t;
  vec3 ends = (vec3(block) + step(vec3(0.0), direction)) * blockSize + bodyCentre - 0.5 * bodySize;
  vec3 times = (ends - origin) / direction;
  return max(min(min(times.x, times.y), times.z), t) + 1e-5;
}

vec3 slope(vec3 p) {
  vec3 d = voxel;
  return vec3(
    bodyAt(p + vec3(d.x, 0, 0)) - bodyAt(p - vec3(d.x, 0, 0)),
    bodyAt(p + vec3(0, d.y, 0)) - bodyAt(p - vec3(0, d.y, 0)),
    bodyAt(p + vec3(0, 0, d.z)) - bodyAt(p - vec3(0, 0, d.z))) / (2.0 * d);
}

// Brightness of a face with an outward normal in the model; light and eye are fixed in the laboratory.
// A tone that stands for a value keeps most of its brightness everywhere, so that it can be read from the colour bar.
vec3 shade(vec3 tone, vec3 normal, float ambient) {
  vec3 n = normalize(normal) * toModel;
  float facing = max(-n.z, 0.0);
  float diffuse = max(dot(n, LIGHT), 0.0);
  vec3 halfway = normalize(LIGHT + vec3(0.0, 0.0, -1.0));
  float gloss = pow(max(dot(n, halfway), 0.0), 40.0);
  return tone * (ambient + (0.98 - ambient) * (0.3 * facing + 0.7 * diffuse)) + 0.12 * gloss;
}

vec4 volumeColour(vec3 origin, vec3 direction, vec2 span) {
  vec3 sum = vec3(0.0);
  float clear = 1.0;
  float t = span.x + 0.5 * stepLength;
  for (int i = 0; i < STEPS && t < span.y; i++, t += stepLength) {
    float next = passEmpty(origin, direction, t);
    if (next > t) {  // The steps stay on their grid, or else the samples of neighbouring rays would not match.
      t += (ceil((next - t) / stepLength) - 1.0) * stepLength;
      continue;
    }
    vec3 p = origin + t * direction;
    float b = bodyAt(p);
    float amount = opacity(b);
    if (amount < 0.001) continue;
    float alpha = 1.0 - exp(-EXTINCTION * strength * amount * amount * stepLength);
    vec3 tone = mapped(otherBody ? valueAt(p) : b);
    if (alpha * clear > 0.004) {
      vec3 rise = slope(p) * inward;
      float steep = smoothstep(0.5, 6.0, length(rise));
      if (steep > 0.0) tone = mix(tone, shade(tone, -rise, 0.4) * 1.1, 0.75 * steep);
    }
    sum += clear * alpha * tone;
    clear *= 1.0 - alpha;
    if (clear < 0.004) break;
  }
  return vec4(sum, 1.0 - clear);
}

vec4 extremeColour(vec3 origin, vec3 direction, vec2 span) {
  float extreme = background;
  bool any = false;
  float t = span.x + 0.5 * stepLength;
  for (int i = 0; i < STEPS && t < span.y; i++, t += stepLength) {
    vec3 p = origin + t * direction;
    if (otherBody && masked && insideBy(p) < 0.0) continue;
    float value = valueAt(p);
    any = true;
    if (abs(value - background) > abs(extreme - background)) extreme = value;
  }
  return any ? vec4(mapped(extreme), 1.0) : vec4(0.0);
}

vec4 surfaceColour(vec3 origin, vec3 direction, vec2 span) {
  float before = span.x + 1e-5;
  vec3 entry = origin + before * direction;
  if (insideBy(entry) > 0.0) {  // The body goes on beyond the box: its cut face.
    vec3 reach = abs(entry) / boxSize;
    vec3 face = step(vec3(max(max(reach.x, reach.y), reach.z) - 1e-5), reach) * sign(entry);
    return vec4(shade(mapped(valueAt(entry)), face, 0.7), 1.0);
  }
  float t = before + stepLength;
  for (int i = 0; i < STEPS && before < span.y; i++, t += stepLength) {
    float next = passEmpty(origin, direction, before);
    if (next > before) {
      before = min(next, span.y);
      t = before;
      continue;
    }
    float here = min(t, span.y);
    if (insideBy(origin + here * direction) > 0.0) {
      float low = before;
      float high = here;
      for (int k = 0; k < 10; k++) {
        float middle = 0.5 * (low + high);
        if (insideBy(origin + middle * direction) > 0.0) high = middle; else low = middle;
      }
      vec3 p = origin + high * direction;
      vec3 outward = -slope(p) * inward;
      if (!otherBody) return vec4(shade(PLAIN, outward, 0.34), 1.0);
      // A little inside, where the values do not yet fade into those of the outside.
      vec3 inner = p - normalize(outward) * 1.5 * min(min(voxel.x, voxel.y), voxel.z);
      return vec4(shade(mapped(valueAt(inner)), outward, 0.66), 1.0);
    }
    before = here;
    if (here >= span.y) break;
  }
  return vec4(0.0);
}

vec4 sliceColour(vec3 origin, vec3 direction, vec2 span) {
  vec4 nearest = vec4(0.0);
  float first = span.y;
  for (int i = 0; i < 3; i++) {
    float slant = dot(direction, planeNormals[i]);
    float t = dot(planePoint - origin, planeNormals[i]) / slant;
    if (abs(slant) < 1e-6 || t < span.x - 1e-6 || t > first) continue;
    vec3 p = origin + t * direction;
    if (otherBody && masked && insideBy(p) < 0.0) continue;
    first = t;
    nearest = vec4(mapped(valueAt(p)), 1.0);
  }
  return nearest;
}

void main() {
  vec3 direction = toModel * vec3(0.0, 0.0, 1.0);
  direction += vec3(equal(direction, vec3(0.0))) * 1e-9;
  vec3 origin = toModel * vec3(screen * vec2(1.0, -1.0) * halfView - pan, -2.0);
  vec2 span = meetBox(origin, direction);
  colour = span.x < span.y ? RENDER(origin, direction, span) : vec4(0.0);
  if (MODE != 0) colour.rgb *= colour.a;
}`;

/** Function of the shader that gives a mode's colour. */
export const RENDERERS = {
  volume: "volumeColour",
  maximum: "extremeColour",
  surface: "surfaceColour",
  slices: "sliceColour",
};
