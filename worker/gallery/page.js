// The page without this is complete: pictures beside their facts, panoramas flat. This adds the sliders and looking around.
'use strict';

// How far one looks: degrees across the window, a key's step, and how far up and down.
const ACROSS = 100, STEP = 10, HIGHEST = 60;
// The widest drawing, in pixels: more is not seen, and each costs time.
const WIDEST = 1100;

// Before and after: the slider tells `show` where the line is, from 0 to 100.
function comparing(compare, show) {
  const slider = compare.querySelector('input');
  const move = () => {
    compare.style.setProperty('--at', slider.value + '%');
    slider.setAttribute('aria-valuetext', slider.value + ' percent before');
    show(+slider.value);
  };
  slider.addEventListener('input', move);
  move();
  return value => { slider.value = value; move(); };
}

for (const compare of document.querySelectorAll('.compare')) {
  if (compare.querySelector('.pano')) continue;
  const move = comparing(compare, () => {});
  const view = compare.querySelector('.view');
  // A wide picture that is no panorama is dragged to look around; its slider alone compares.
  if (compare.querySelector('.pan')) continue;
  const follow = event => {
    const box = view.getBoundingClientRect();
    move(Math.round(100 * (event.clientX - box.left) / box.width));
  };
  view.addEventListener('pointerdown', event => { view.setPointerCapture(event.pointerId); follow(event); });
  view.addEventListener('pointermove', event => { if (view.hasPointerCapture(event.pointerId)) follow(event); });
}

for (const pan of document.querySelectorAll('.pan')) {
  const middle = () => { pan.scrollLeft = (pan.scrollWidth - pan.clientWidth) / 2; };
  middle();
  pan.closest('details')?.addEventListener('toggle', middle, { once: true });
  // A finger scrolls by itself.
  pan.addEventListener('pointerdown', event => { if (event.pointerType === 'mouse') pan.setPointerCapture(event.pointerId); });
  pan.addEventListener('pointermove', event => { if (pan.hasPointerCapture(event.pointerId)) pan.scrollLeft -= event.movementX; });
}

// The pixels of a picture, once; a part of the page that is scrolled away forgets them.
async function pixels(image) {
  const copy = new Image();
  copy.src = image.src;
  await copy.decode();
  const paper = new OffscreenCanvas(copy.naturalWidth, copy.naturalHeight);
  const pen = paper.getContext('2d', { willReadFrequently: true });
  pen.drawImage(copy, 0, 0);
  return pen.getImageData(0, 0, paper.width, paper.height);
}

// Draws what is seen of an equirectangular picture through a flat window, from `left` to `right` of its columns.
function look(from, out, view, left, right) {
  const { width, height, data } = from, { width: columns, height: rows } = out;
  const wide = Math.tan(ACROSS * Math.PI / 360), high = wide * rows / columns;
  const up = view.pitch * Math.PI / 180, sin = Math.sin(up), cos = Math.cos(up), yaw = view.yaw / 360 + .5;
  for (let row = 0; row < rows; row++) {
    const y = (1 - (2 * row + 1) / rows) * high, ahead = cos - y * sin, above = y * cos + sin;
    for (let column = left; column < right; column++) {
      const x = ((2 * column + 1) / columns - 1) * wide;
      let u = (Math.atan2(x, ahead) / (2 * Math.PI) + yaw) % 1;
      if (u < 0) u += 1;
      const v = .5 - Math.atan2(above, Math.hypot(x, ahead)) / Math.PI;
      // Between four pixels; to the right of the last one is the first.
      const px = u * width - .5, py = Math.min(Math.max(v * height - .5, 0), height - 1.001);
      const x0 = (Math.floor(px) + width) % width, x1 = (x0 + 1) % width, y0 = Math.floor(py);
      const fx = px - Math.floor(px), fy = py - y0, top = y0 * width, bottom = top + width;
      const a = 4 * (top + x0), b = 4 * (top + x1), c = 4 * (bottom + x0), d = 4 * (bottom + x1);
      const wa = (1 - fx) * (1 - fy), wb = fx * (1 - fy), wc = (1 - fx) * fy, wd = fx * fy;
      const at = 4 * (row * columns + column);
      for (let part = 0; part < 3; part++) {
        out.data[at + part] = wa * data[a + part] + wb * data[b + part] + wc * data[c + part] + wd * data[d + part];
      }
      out.data[at + 3] = 255;
    }
  }
}

for (const pano of document.querySelectorAll('.pano')) {
  const canvas = pano.querySelector('canvas'), pen = canvas.getContext('2d', { willReadFrequently: true });
  const view = { yaw: 0, pitch: 0, at: 50 };
  let pictures = null, asked = 0, rest = 0;
  const draw = fine => {
    if (!pictures || !canvas.clientWidth) return;
    const scale = Math.min(1, WIDEST / canvas.clientWidth) * (fine ? 1 : .5);
    canvas.width = Math.round(canvas.clientWidth * scale);
    canvas.height = Math.round(canvas.clientHeight * scale);
    const out = pen.createImageData(canvas.width, canvas.height);
    const [after, before] = pictures, line = before ? Math.round(canvas.width * view.at / 100) : 0;
    if (line > 0) look(before, out, view, 0, line);
    if (line < canvas.width) look(after, out, view, line, canvas.width);
    pen.putImageData(out, 0, 0);
    canvas.dataset.yaw = view.yaw;
  };
  // Coarse while something moves, fine when it rests.
  const moved = () => {
    clearTimeout(rest);
    rest = setTimeout(draw, 120, true);
    cancelAnimationFrame(asked);
    asked = requestAnimationFrame(() => draw(false));
  };
  const turn = (yaw, pitch) => {
    view.yaw = (view.yaw + yaw + 540) % 360 - 180;
    view.pitch = Math.max(-HIGHEST, Math.min(HIGHEST, view.pitch + pitch));
    moved();
  };
  const compare = pano.closest('.compare');
  if (compare) comparing(compare, at => { view.at = at; moved(); });
  const grain = () => ACROSS / canvas.clientWidth;
  let last = null;
  canvas.addEventListener('pointerdown', event => { canvas.setPointerCapture(event.pointerId); last = event; });
  canvas.addEventListener('pointermove', event => {
    if (!canvas.hasPointerCapture(event.pointerId)) return;
    turn((last.clientX - event.clientX) * grain(), (event.clientY - last.clientY) * grain());
    last = event;
  });
  const keys = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, STEP], ArrowDown: [0, -STEP] };
  canvas.addEventListener('keydown', event => {
    if (event.key === 'Home') turn(-view.yaw, -view.pitch);
    else if (keys[event.key]) turn(...keys[event.key]);
    else return;
    event.preventDefault();
  });
  pano.classList.add('seen');
  new ResizeObserver(moved).observe(canvas);
  new IntersectionObserver(async ([seen]) => {
    if (!seen.isIntersecting) { pictures = null; return; }
    pictures = await Promise.all([...pano.querySelectorAll('img')].map(pixels));
    draw(true);
  }, { rootMargin: '200px' }).observe(pano);
}
