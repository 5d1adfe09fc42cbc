/**
 * Draws the demo site's pictures and its film, so that they need no licence
 * but this repository's: one scene, a seawall by the sea, at any hour of a day.
 *
 *     node cli/demo/make-media.ts
 *
 * The results are committed; running this again needs `rsvg-convert`
 * (librsvg2-bin), `convert` (imagemagick) and `ffmpeg` with libvpx.
 * @module
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const WIDTH = 960;
const HEIGHT = 540;
const HORIZON = 330;

const FILM_SECONDS = 60;
const FILM_FRAMES_PER_SECOND = 15;
const FILM_BYTES_PER_SECOND = 32 * 1024;

type Colour = readonly [red: number, green: number, blue: number];

/** Colours at certain hours; between them they blend. */
const LIGHT: readonly { hour: number; top: Colour; low: Colour; sea: Colour; land: Colour; dark: number }[] = [
  { hour: 0, top: [8, 14, 38], low: [24, 36, 78], sea: [14, 30, 62], land: [12, 20, 40], dark: 1 },
  { hour: 4.5, top: [16, 24, 62], low: [60, 58, 110], sea: [24, 42, 84], land: [22, 28, 54], dark: 0.85 },
  { hour: 6.3, top: [74, 98, 160], low: [255, 178, 128], sea: [70, 96, 140], land: [66, 62, 92], dark: 0.25 },
  { hour: 8.5, top: [92, 162, 220], low: [226, 236, 232], sea: [42, 122, 156], land: [74, 104, 112], dark: 0 },
  { hour: 13, top: [52, 142, 216], low: [190, 228, 240], sea: [16, 112, 150], land: [64, 112, 98], dark: 0 },
  { hour: 17, top: [84, 146, 200], low: [250, 222, 170], sea: [30, 104, 136], land: [84, 100, 88], dark: 0 },
  { hour: 19.3, top: [86, 70, 136], low: [255, 132, 92], sea: [78, 70, 122], land: [58, 44, 74], dark: 0.35 },
  { hour: 21, top: [20, 26, 66], low: [84, 62, 116], sea: [26, 38, 84], land: [22, 24, 52], dark: 0.9 },
  { hour: 24, top: [8, 14, 38], low: [24, 36, 78], sea: [14, 30, 62], land: [12, 20, 40], dark: 1 },
];

const STARS = Array.from({ length: 90 }, (_, i) => ({
  x: noise(i) * WIDTH,
  y: noise(i + 100) * HORIZON * 0.85,
  radius: 0.5 + noise(i + 200) * 1.1,
}));

const CLOUDS = Array.from({ length: 5 }, (_, i) => ({
  x: noise(i + 300) * WIDTH,
  y: 50 + noise(i + 310) * 130,
  size: 0.6 + noise(i + 320) * 0.8,
  speed: 6 + noise(i + 330) * 8,
}));

/**
 * @param hour - 0 to 24, of the day that is drawn.
 * @param seconds - What moves on its own (waves, clouds, the beam) is where it is after this time.
 * @param label - Text in the corner.
 * @returns An SVG document.
 */
function scene(hour: number, seconds: number, label = ''): string {
  const light = lightAt(hour);
  const sun = { x: WIDTH * (0.12 + (0.7 * (hour - 6)) / 13.5), y: HORIZON + 20 - 270 * arc(hour, 6, 19.5) };
  const moonHour = hour < 12 ? hour + 24 : hour;
  const moon = { x: WIDTH * (0.1 + (0.75 * (moonHour - 20)) / 10), y: HORIZON - 210 * arc(moonHour, 19, 31) };
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}">`,
    '<defs>',
    `<linearGradient id="sky" x1="0" y1="0" x2="0" y2="1"><stop offset="0" stop-color="${css(light.top)}"/>`,
    `<stop offset="1" stop-color="${css(light.low)}"/></linearGradient>`,
    `<linearGradient id="beam" x1="0" y1="0" x2="1" y2="0"><stop offset="0" stop-color="#fff4c2" stop-opacity=".75"/>`,
    '<stop offset="1" stop-color="#fff4c2" stop-opacity="0"/></linearGradient>',
    '</defs>',
    `<rect width="${WIDTH}" height="${HORIZON + 30}" fill="url(#sky)"/>`,
    ...STARS.map(
      (star) =>
        `<circle cx="${fix(star.x)}" cy="${fix(star.y)}" r="${fix(star.radius)}" fill="#fff" opacity="${fix(light.dark * 0.9)}"/>`,
    ),
    `<circle cx="${fix(moon.x)}" cy="${fix(moon.y)}" r="20" fill="#f3eeda" opacity="${fix(light.dark)}"/>`,
    `<circle cx="${fix(sun.x)}" cy="${fix(sun.y)}" r="64" fill="#fff3c9" opacity="${fix(0.28 * (1 - light.dark))}"/>`,
    `<circle cx="${fix(sun.x)}" cy="${fix(sun.y)}" r="34" fill="${css(mix([255, 248, 214], [255, 150, 90], light.dark * 2))}"/>`,
    ...CLOUDS.map((cloud) => cloudAt(cloud, seconds, light.dark)),
    `<path d="M0 ${HORIZON + 10} L0 292 Q 90 262 190 288 T 380 300 T 560 314 L 640 ${HORIZON + 10} Z" fill="${css(light.land)}" opacity=".55"/>`,
    wave(HORIZON, 3, 260, seconds * 0.25, mix(light.sea, light.low, 0.45)),
    lighthouse(light, seconds),
    wave(HORIZON + 26, 5, 210, seconds * 0.4 + 1, mix(light.sea, light.low, 0.25)),
    boat(seconds, light),
    wave(HORIZON + 62, 8, 260, seconds * 0.6 + 3, light.sea),
    wave(HORIZON + 104, 10, 320, seconds * 0.8 + 5, mix(light.sea, [6, 22, 44], 0.28)),
    seawall(light),
    label === ''
      ? ''
      : `<text x="28" y="52" font-family="DejaVu Sans Mono" font-weight="bold" font-size="34" fill="#fff" stroke="#0008" stroke-width="6" paint-order="stroke">${label}</text>`,
    '</svg>',
  ].join('\n');
}

type Light = Omit<(typeof LIGHT)[number], 'hour'>;

function lightAt(hour: number): Light {
  const next = LIGHT.findIndex((light) => light.hour >= hour);
  const to = LIGHT[next] ?? LIGHT[0];
  const from = LIGHT[next - 1] ?? to;
  if (!to || !from) throw new Error('no light at all');
  const share = to.hour === from.hour ? 0 : (hour - from.hour) / (to.hour - from.hour);
  return {
    top: mix(from.top, to.top, share),
    low: mix(from.low, to.low, share),
    sea: mix(from.sea, to.sea, share),
    land: mix(from.land, to.land, share),
    dark: from.dark + (to.dark - from.dark) * share,
  };
}

function cloudAt(cloud: (typeof CLOUDS)[number], seconds: number, dark: number): string {
  const x = ((cloud.x + seconds * cloud.speed) % (WIDTH + 240)) - 120;
  const s = cloud.size;
  const colour = css(mix([255, 255, 255], [70, 76, 120], dark));
  return [
    `<g fill="${colour}" opacity="${fix(0.7 - dark * 0.45)}">`,
    `<ellipse cx="${fix(x)}" cy="${fix(cloud.y)}" rx="${fix(62 * s)}" ry="${fix(15 * s)}"/>`,
    `<circle cx="${fix(x - 20 * s)}" cy="${fix(cloud.y - 9 * s)}" r="${fix(17 * s)}"/>`,
    `<circle cx="${fix(x + 12 * s)}" cy="${fix(cloud.y - 14 * s)}" r="${fix(22 * s)}"/>`,
    '</g>',
  ].join('');
}

function wave(level: number, height: number, length: number, phase: number, colour: Colour): string {
  let path = `M0 ${HEIGHT} L0 ${level}`;
  for (let x = 0; x <= WIDTH; x += 20) {
    const y =
      level + height * Math.sin((x / length) * 2 * Math.PI + phase) + height * 0.4 * Math.sin(x / 37 - phase * 1.3);
    path += ` L${x} ${fix(y)}`;
  }
  return `<path d="${path} L${WIDTH} ${HEIGHT} Z" fill="${css(colour)}"/>`;
}

function lighthouse(light: Light, seconds: number): string {
  const lamp = { x: 742, y: 180 };
  const turn = Math.cos(seconds * 0.9);
  const reach = 520 * turn;
  const spread = 22 + 40 * Math.abs(turn);
  const tower = mix([250, 246, 238], [52, 56, 92], light.dark * 0.8);
  const stripe = mix([200, 62, 56], [70, 34, 62], light.dark * 0.8);
  return [
    `<path d="M640 366 Q 680 318 726 322 Q 790 306 850 366 Z" fill="${css(mix(light.land, [20, 24, 34], 0.35))}"/>`,
    `<path d="M724 324 L730 196 L754 196 L760 324 Z" fill="${css(tower)}"/>`,
    `<path d="M725.300 296 L727 258 L757 258 L758.700 296 Z M728.400 228 L729.600 206 L754.400 206 L755.600 228 Z" fill="${css(stripe)}"/>`,
    `<rect x="724" y="190" width="36" height="6" rx="2" fill="${css(mix([60, 66, 78], [24, 26, 46], light.dark))}"/>`,
    `<rect x="732" y="170" width="20" height="20" fill="${css(mix([150, 190, 210], [255, 240, 180], light.dark))}"/>`,
    `<path d="M729 170 L742 156 L755 170 Z" fill="${css(stripe)}"/>`,
    `<g transform="translate(${lamp.x} ${lamp.y}) scale(${fix(reach / 520)} 1)" opacity="${fix(light.dark * 0.9)}">`,
    `<path d="M0 -3 L520 ${fix(-spread)} L520 ${fix(spread)} L0 3 Z" fill="url(#beam)"/></g>`,
    `<circle cx="${lamp.x}" cy="${lamp.y}" r="${fix(6 + 9 * (1 - Math.abs(turn)))}" fill="#fff6cf" opacity="${fix(light.dark)}"/>`,
  ].join('');
}

function boat(seconds: number, light: Light): string {
  const x = 140 + ((seconds * 9) % 620);
  const y = HORIZON + 48 + 4 * Math.sin(seconds * 1.1);
  const sail = css(mix([255, 252, 244], [104, 108, 150], light.dark));
  return [
    `<g transform="translate(${fix(x)} ${fix(y)}) rotate(${fix(3 * Math.sin(seconds * 1.1 + 1))})">`,
    `<path d="M-34 0 L36 0 L24 14 L-24 14 Z" fill="${css(mix([150, 74, 52], [44, 30, 48], light.dark))}"/>`,
    `<path d="M0 -4 L0 -64 L30 -8 Z" fill="${sail}"/><path d="M-4 -4 L-4 -54 L-26 -8 Z" fill="${sail}" opacity=".85"/></g>`,
  ].join('');
}

function seawall(light: Light): string {
  const stone = mix([176, 172, 164], [44, 48, 76], light.dark * 0.85);
  const stones: string[] = [];
  for (let row = 0; row < 2; row++) {
    for (let i = -1; i < 14; i++) {
      const shade = mix(stone, [30, 34, 48], 0.08 + 0.2 * noise(row * 50 + i + 400));
      const x = i * 74 + row * 37;
      stones.push(`<rect x="${x}" y="${HEIGHT - 64 + row * 33}" width="71" height="30" rx="4" fill="${css(shade)}"/>`);
    }
  }
  return `<rect y="${HEIGHT - 68}" width="${WIDTH}" height="68" fill="${css(mix(stone, [20, 22, 34], 0.5))}"/>${stones.join('')}`;
}

/** Height of something that rises at `from` and sets at `to`: 0 at both, 1 in the middle, below 0 outside. */
function arc(hour: number, from: number, to: number): number {
  return Math.sin((Math.PI * (hour - from)) / (to - from));
}

function mix(a: Colour, b: Colour, share: number): Colour {
  const t = Math.min(1, Math.max(0, share));
  return [a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t, a[2] + (b[2] - a[2]) * t];
}

function css(colour: Colour): string {
  return `rgb(${colour.map(Math.round).join(',')})`;
}

function fix(value: number): string {
  return value.toFixed(1);
}

/** The same number from 0 to 1 for the same seed, so that the scene is the same in every frame. */
function noise(seed: number): number {
  const value = Math.sin(seed * 127.1 + 311.7) * 43_758.5453;
  return value - Math.floor(value);
}

const site = join(import.meta.dirname, 'site');
const images = join(site, 'images');
const media = join(site, 'media');
mkdirSync(images, { recursive: true });
mkdirSync(media, { recursive: true });
const scratch = mkdtempSync(join(tmpdir(), 'seawall-media-'));

function rasterise(svg: string, png: string, width: number): void {
  const source = join(scratch, 'scene.svg');
  writeFileSync(source, svg);
  execFileSync('rsvg-convert', ['--width', String(width), '--output', png, source]);
}

writeFileSync(join(images, 'afternoon.svg'), scene(17, 12));
for (const { hour, file, quality } of [
  { hour: 6.4, file: 'dawn.jpg', quality: ['-quality', '82'] },
  { hour: 9, file: 'morning.webp', quality: ['-quality', '80'] },
  { hour: 13, file: 'noon.png', quality: ['-colors', '128', '-define', 'png:compression-level=9'] },
  { hour: 19.1, file: 'dusk.jpg', quality: ['-quality', '82'] },
  { hour: 22.5, file: 'night.jpg', quality: ['-quality', '82'] },
]) {
  const png = join(scratch, 'scene.png');
  rasterise(scene(hour, hour * 5), png, 1280);
  execFileSync('convert', [png, '-strip', ...quality, join(images, file)]);
}

for (let frame = 0; frame < FILM_SECONDS * FILM_FRAMES_PER_SECOND; frame++) {
  const seconds = frame / FILM_FRAMES_PER_SECOND;
  const hour = (5 + (seconds / FILM_SECONDS) * 24) % 24;
  const clock = `${String(Math.floor(hour)).padStart(2, '0')}:${String(Math.floor((hour % 1) * 60)).padStart(2, '0')}`;
  const label = `${clock} · second ${String(Math.floor(seconds)).padStart(2, '0')} of ${FILM_SECONDS}`;
  rasterise(scene(hour, seconds, label), join(scratch, `frame-${String(frame).padStart(4, '0')}.png`), 854);
}
execFileSync('ffmpeg', [
  ...['-loglevel', 'error', '-y', '-framerate', String(FILM_FRAMES_PER_SECOND), '-i', join(scratch, 'frame-%04d.png')],
  ...['-c:v', 'libvpx-vp9', '-b:v', String(FILM_BYTES_PER_SECOND * 8), '-minrate', String(FILM_BYTES_PER_SECOND * 4)],
  ...['-g', String(FILM_FRAMES_PER_SECOND * 2), '-pix_fmt', 'yuv420p', '-row-mt', '1', '-vf', 'scale=854:480'],
  join(media, 'day.webm'),
]);
rmSync(scratch, { recursive: true });
