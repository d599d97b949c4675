// The turning surface of a report. It is drawn without perspective, so that its scale bar holds everywhere.
(() => {
  "use strict";
  const figure = document.getElementById("surface");
  const scene = JSON.parse(document.getElementById("surface-data").textContent);
  const canvas = figure.querySelector("canvas");
  const gl = canvas.getContext("webgl", { antialias: true });
  if (!gl) return; // The picture stays.

  const VERTEX = `
    attribute vec3 place, normal, colour;
    uniform mat3 turn; uniform vec3 centre; uniform vec2 scale;
    varying vec3 direction, tint;
    void main() {
      vec3 position = turn * (place - centre);
      direction = turn * normal;
      tint = colour;
      gl_Position = vec4(position.x * scale.x, -position.y * scale.y, 0.4 * position.z, 1.0);
    }`;
  const FRAGMENT = `
    precision mediump float;
    varying vec3 direction, tint;
    uniform float shine;
    void main() {
      vec3 n = normalize(direction);
      float lit = 0.5 + 0.5 * dot(n, vec3(-0.42, -0.55, -0.72));
      float gloss = pow(max(dot(n, vec3(-0.24, -0.31, -0.92)), 0.0), 40.0);
      gl_FragColor = vec4(tint * (0.28 + 0.78 * lit * lit) + shine * gloss, 1.0);
    }`;
  const PLAIN = [0.66, 0.74, 0.82];
  const STEP = Math.PI / 36, SPEED = 0.35; // [rad] a key press, [rad/s] by itself.

  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const shader = (type, source) => {
    const compiled = gl.createShader(type);
    gl.shaderSource(compiled, source);
    gl.compileShader(compiled);
    return compiled;
  };
  const program = gl.createProgram();
  gl.attachShader(program, shader(gl.VERTEX_SHADER, VERTEX));
  gl.attachShader(program, shader(gl.FRAGMENT_SHADER, FRAGMENT));
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) return;
  gl.useProgram(program);
  const uniform = (name) => gl.getUniformLocation(program, name);
  const [turnAt, centreAt, scaleAt] = ["turn", "centre", "scale"].map(uniform);
  gl.uniform1f(uniform("shine"), scene.colours ? 0.04 : 0.16); // Colours that mean something are left as they are.

  const multiply = (a, b) => {
    const c = new Float32Array(9); // Columns one after the other, as WebGL takes them.
    for (let i = 0; i < 3; i++)
      for (let j = 0; j < 3; j++)
        c[3 * j + i] = a[i] * b[3 * j] + a[3 + i] * b[3 * j + 1] + a[6 + i] * b[3 * j + 2];
    return c;
  };
  const aboutX = (t) => [1, 0, 0, 0, Math.cos(t), Math.sin(t), 0, -Math.sin(t), Math.cos(t)];
  const aboutY = (t) => [Math.cos(t), 0, -Math.sin(t), 0, 1, 0, Math.sin(t), 0, Math.cos(t)];
  const start = () => Float32Array.from(scene.turn);
  let turn = start(), zoom = 1, body = null, width = 1, height = 1, pending = false;
  let moving = !matchMedia("(prefers-reduced-motion: reduce)").matches, visible = true, before = 0;

  /** Outward normals of the vertices: the sum of those of their triangles, by area. */
  function normalsOf(places, faces) {
    const sums = new Float32Array(places.length), packed = new Int8Array((places.length / 3) * 4);
    for (let f = 0; f < faces.length; f += 3) {
      const [a, b, c] = [3 * faces[f], 3 * faces[f + 1], 3 * faces[f + 2]];
      const u = [0, 1, 2].map((i) => places[b + i] - places[a + i]);
      const v = [0, 1, 2].map((i) => places[c + i] - places[a + i]);
      const n = [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]];
      for (const corner of [a, b, c]) for (let i = 0; i < 3; i++) sums[corner + i] += n[i];
    }
    for (let k = 0; k < places.length / 3; k++) {
      const length = Math.hypot(sums[3 * k], sums[3 * k + 1], sums[3 * k + 2]) || 1;
      for (let i = 0; i < 3; i++) packed[4 * k + i] = Math.round((127 * sums[3 * k + i]) / length);
    }
    return packed;
  }

  function coloursOf(values, count) {
    const colours = new Uint8Array(4 * count);
    const table = scene.colours && bytes(scene.colours);
    for (let k = 0; k < count; k++)
      for (let i = 0; i < 3; i++) colours[4 * k + i] = values ? table[3 * values[k] + i] : 255 * PLAIN[i];
    return colours;
  }

  function attribute(name, data, type, stride) {
    const at = gl.getAttribLocation(program, name), buffer = gl.createBuffer();
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
    gl.bufferData(gl.ARRAY_BUFFER, data, gl.STATIC_DRAW);
    gl.enableVertexAttribArray(at);
    gl.vertexAttribPointer(at, 3, type, true, stride, 0);
    return buffer;
  }

  function show(number) {
    const stored = scene.bodies[number];
    const places = new Uint16Array(bytes(stored.places).buffer), faces = new Uint16Array(bytes(stored.faces).buffer);
    const count = places.length / 3, padded = new Uint16Array(4 * count);
    for (let k = 0; k < count; k++) padded.set(places.subarray(3 * k, 3 * k + 3), 4 * k);
    for (const buffer of body ? body.buffers : []) gl.deleteBuffer(buffer);
    const buffers = [
      attribute("place", padded, gl.UNSIGNED_SHORT, 8),
      attribute("normal", normalsOf(places, faces), gl.BYTE, 4),
      attribute("colour", coloursOf(stored.values && bytes(stored.values), count), gl.UNSIGNED_BYTE, 4),
      gl.createBuffer(),
    ];
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, buffers[3]);
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, faces, gl.STATIC_DRAW);
    const low = [65535, 65535, 65535], high = [0, 0, 0];
    places.forEach((v, i) => {
      low[i % 3] = Math.min(low[i % 3], v);
      high[i % 3] = Math.max(high[i % 3], v);
    });
    const middle = low.map((v, i) => (v + high[i]) / 2), centre = middle.map((v) => v / 65535);
    let radius = 0;
    for (let k = 0; k < places.length; k += 3)
      radius = Math.max(radius, Math.hypot(...middle.map((v, i) => places[k + i] - v)) / 65535);
    body = { buffers, count: faces.length, centre, radius, extent: stored.extent };
    draw();
  }

  const half = () => body.radius / zoom; // Half of what the shorter edge of the canvas shows.
  function paint(now) {
    pending = false;
    if (moving && visible && !document.hidden) {
      if (before) turn = multiply(aboutY(SPEED * Math.min((now - before) / 1000, 0.1)), turn);
      before = now;
      draw();
    } else before = 0;
    const short = Math.min(width, height);
    gl.viewport(0, 0, canvas.width, canvas.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    gl.enable(gl.DEPTH_TEST);
    gl.uniformMatrix3fv(turnAt, false, turn);
    gl.uniform3fv(centreAt, body.centre);
    gl.uniform2f(scaleAt, (0.94 * short) / width / half(), (0.94 * short) / height / half());
    gl.drawElements(gl.TRIANGLES, body.count, gl.UNSIGNED_SHORT, 0);
    annotate((0.47 * short) / half() / body.extent);
  }
  function draw() {
    if (!pending) requestAnimationFrame(paint);
    pending = true;
  }

  /** Scale bar and axes, for a number of CSS pixels to a unit of length. */
  function annotate(pixels) {
    const limit = (0.28 * width) / pixels, decade = 10 ** Math.floor(Math.log10(limit));
    const length = [5, 2, 1].find((n) => n * decade <= limit) * decade;
    const bar = figure.querySelector(".scale");
    bar.style.width = `${length * pixels}px`;
    const [factor, unit] = scene.unit !== "m" ? [1, "voxels"] : length < 0.9995e-6 ? [1e9, "nm"] : [1e6, "µm"];
    bar.textContent = `${Number((length * factor).toPrecision(3))} ${unit}`;
    figure.querySelectorAll(".axes line").forEach((line, i) => {
      const [x, y] = [26 * turn[3 * i], 26 * turn[3 * i + 1]];
      line.setAttribute("x2", x);
      line.setAttribute("y2", y);
      const name = line.nextElementSibling;
      name.setAttribute("x", 1.35 * x);
      name.setAttribute("y", 1.35 * y);
    });
  }

  const button = figure.querySelector("[data-does=move]");
  function move(value) {
    moving = value;
    button.textContent = value ? "Pause" : "Turn";
    draw();
  }
  function rotate(right, down) {
    turn = multiply(multiply(aboutX(down), aboutY(-right)), turn);
    move(false);
  }
  const enlarge = (factor) => {
    zoom = Math.min(Math.max(zoom * factor, 0.5), 20);
    draw();
  };
  const reset = () => {
    [turn, zoom] = [start(), 1];
    move(false);
  };
  const KEYS = {
    ArrowLeft: () => rotate(-STEP, 0), ArrowRight: () => rotate(STEP, 0),
    ArrowUp: () => rotate(0, -STEP), ArrowDown: () => rotate(0, STEP),
    "+": () => enlarge(1.2), "=": () => enlarge(1.2), "-": () => enlarge(1 / 1.2),
    " ": () => move(!moving), 0: reset, Home: reset,
  };
  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !KEYS[event.key]) return;
    event.preventDefault();
    KEYS[event.key]();
  });
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    move(false);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (event.buttons & 1 && canvas.hasPointerCapture(event.pointerId))
      rotate(event.movementX * 0.01, event.movementY * 0.01);
  });
  canvas.addEventListener("wheel", (event) => {
    if (document.activeElement !== canvas) return; // The page scrolls until the surface has been chosen.
    event.preventDefault();
    enlarge(Math.exp(-event.deltaY * 0.0015));
  }, { passive: false });
  canvas.addEventListener("webglcontextlost", () => figure.classList.remove("live"));
  button.addEventListener("click", () => move(!moving));
  figure.querySelector("[data-does=reset]").addEventListener("click", reset);
  const choice = figure.querySelector("select");
  if (choice) choice.addEventListener("change", () => show(Number(choice.value)));
  new IntersectionObserver(([entry]) => {
    visible = entry.isIntersecting;
    draw();
  }).observe(canvas);
  document.addEventListener("visibilitychange", draw);
  figure.classList.add("live");
  new ResizeObserver(() => {
    const density = Math.min(devicePixelRatio || 1, 2);
    [width, height] = [canvas.clientWidth || 1, canvas.clientHeight || 1];
    [canvas.width, canvas.height] = [Math.round(width * density), Math.round(height * density)];
    if (body) draw();
  }).observe(canvas);
  show(0);
  move(moving);
})();
