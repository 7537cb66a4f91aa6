// The page's one script. It asks TF Serving's REST API, and nothing else but for the samples.
//
//   ?server=http://HOST:PORT   the server to ask; without it, the one that the page came from
//   &model=NAME                the model; without it, the one that samples.json names
"use strict";

const PLAY_STEP = 2; // Of the slider's hundredths: 51 frames from one picture to the other.
const PLAY_MS = 2000; // From one picture to the other.
const TIMEOUT_MS = 30_000;
const LOW_CONFIDENCE = 0.5;
const MASK_ALPHA = 0.6; // Of the mask over the frame.
const SLOW_MS = 300; // Waits that are shorter pass without a word.
// Every request carries both pictures, so larger ones are sent in this size.
const LARGEST_SIDE = 1024;

const query = new URLSearchParams(location.search);
const page = new URL(".", location.href).href;
const server = (query.get("server") ?? page).replace(/\/+$/, "");
let model = query.get("model");
let version = null; // The newest that is available.

const $ = (id) => document.getElementById(id);
const slider = $("t");
const maskBox = $("mask");
const endLabels = [$("first"), $("second")];
const drawnCanvas = $("drawn").querySelector("canvas");
const fadeCanvas = $("fade").querySelector("canvas");

const ends = [null, null]; // The two pictures: {name, source, sent, bitmap, base64}.
const awaited = [null, null]; // What is to become an end and is being read.
const frames = new Map(); // What the model drew: hundredths of t -> ImageBitmap.
const masks = new Map(); // What was copied: hundredths of t -> ImageBitmap.
let fades = null; // The two pictures in the frame's size.
// Of this tab alone, and for this server alone.
let token = sessionStorage.getItem(`token of ${server}`);
let turn = 0; // Which end the next sample becomes.
let request = null; // The one in flight, an AbortController.
let failed = null; // The job that failed and is not to be tried again by itself.
let playing = null; // {start: when it was, or would have been, at t = 0} or null.

// Asking

async function call(path, body, signal = new AbortController().signal) {
  let answer;
  let content;
  try {
    answer = await fetch(`${server}/v1/models/${encodeURIComponent(model)}${path}`, {
      signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
      headers: { ...authorization(), ...(body && { "Content-Type": "application/json" }) },
      ...(body && { method: "POST", body }),
    });
    content = await answer.text();
  } catch (error) {
    if (signal.aborted) throw error;
    if (error.name === "TimeoutError") {
      throw new Error(`${server} did not answer within ${TIMEOUT_MS / 1000} s.`);
    }
    throw new Error(`${server} cannot be reached, or does not allow this page to call it (CORS).`);
  }
  try {
    content = JSON.parse(content);
  } catch {
    content = {};
  }
  if (answer.status === 401) askToken();
  if (!answer.ok) {
    throw new Error(`The server says ${answer.status}: ${content.error ?? answer.statusText}`);
  }
  return content;
}

function authorization() {
  return token ? { Authorization: `Bearer ${token}` } : {};
}

// What belongs to the page, with the token if it is the one server's that has it.
function fetchHere(path) {
  return fetch(path, { headers: page.startsWith(server) ? authorization() : {} });
}

function askToken() {
  $("login").hidden = false;
  $("token").focus();
}

async function predict(signature, t, signal) {
  const bytes = ends.map((end) => `[{"b64": "${end.base64}"}]`);
  const { outputs } = await call(
    ":predict",
    `{"signature_name": "${signature}", "inputs": {"first_bytes": ${bytes[0]}, ` +
      `"second_bytes": ${bytes[1]}, "t": [${JSON.stringify(t)}]}}`,
    signal,
  );
  if (!outputs) throw new Error(`${server} does not answer as TF Serving does.`);
  return outputs;
}

// One request at a time. When it is answered, the next is for where the slider stands by then.
async function ask() {
  const job = nextJob();
  if (request || job === null) return;
  const mine = new AbortController();
  request = mine;
  const slow = setTimeout(() => say(job === "all" ? "Drawing every frame…" : "Drawing…"), SLOW_MS);
  try {
    const answered = await run(job, mine.signal);
    if (request !== mine) return;
    for (const [position, frame] of answered.frames ?? []) frames.set(position, frame);
    for (const [position, mask] of answered.masks ?? []) masks.set(position, mask);
    if (answered.confidence !== undefined) showConfidence(answered.confidence);
    complain("");
    await fitFades();
    if (request !== mine) return;
    const position = Number(slider.value);
    if (frames.has(position)) show();
    else if (typeof job === "number") paint(job); // Not the latest, but later than what stands there.
  } catch (error) {
    if (request !== mine) return;
    failed = job;
    if (job === "all") stop();
    complain(error.message);
  } finally {
    clearTimeout(slow);
    if (request === mine) {
      say("");
      request = null;
      ask();
    }
  }
}

// A position of the slider, "mask" and a position, "all" for the frames to play, or null for nothing.
function nextJob() {
  if (!model || !ends[0] || !ends[1]) return null;
  if (playing) return playPositions().some((each) => !frames.has(each)) ? "all" : null;
  const position = Number(slider.value);
  let job = null;
  if (!frames.has(position)) job = position;
  else if (showsMask() && !masks.has(position)) job = `mask ${position}`;
  return job === failed ? null : job;
}

async function run(job, signal) {
  if (typeof job === "number") {
    const outputs = await predict("inbetween_png", job / 100, signal);
    const frame = await decode(outputs.frame_bytes[0]);
    return { frames: [[job, frame]], confidence: outputs.confidence?.[0] };
  }
  if (job !== "all") {
    const position = Number(job.slice("mask ".length));
    const outputs = await predict("mask_png", position / 100, signal);
    const [file] = outputs.mask_bytes ?? outputs;
    return { masks: [[position, await decode(file)]] };
  }
  const positions = playPositions();
  const outputs = await predict("sequence_png", positions.map((each) => each / 100), signal);
  // Of a single output the value stands there without its name.
  const [files] = outputs.frame_bytes ?? outputs;
  const drawn = await Promise.all(files.map(decode));
  return { frames: positions.map((position, i) => [position, drawn[i]]) };
}

function playPositions() {
  return Array.from({ length: 100 / PLAY_STEP + 1 }, (_, i) => i * PLAY_STEP);
}

function decode({ b64 }) {
  const bytes = Uint8Array.from(atob(b64), (character) => character.charCodeAt(0));
  return createImageBitmap(new Blob([bytes], { type: "image/png" }));
}

// Drawing

// What the slider's place calls for: at once what is known, and a request for what is not.
function show() {
  const position = Number(slider.value);
  $("value").textContent = `t = ${(position / 100).toFixed(2)}`;
  paintFade(position);
  if ($("request").open) writeCurl();
  if (frames.has(position)) paint(position);
  else drawnCanvas.classList.add("stale");
  ask();
}

// While the model plays, its frames are shown alone.
function showsMask() {
  return !$("copied").hidden && maskBox.checked && !playing;
}

function paint(position) {
  const frame = frames.get(position);
  const mask = showsMask() && masks.get(position);
  paintOn(drawnCanvas, frame, mask ? [[frame, 1], [mask, MASK_ALPHA]] : [[frame, 1]]);
  mark(drawnCanvas, mask ? "drawn by the model, with what was copied" : "drawn by the model", position);
  drawnCanvas.classList.toggle("masked", Boolean(mask));
  drawnCanvas.classList.toggle("stale", position !== Number(slider.value));
}

function paintFade(position) {
  if (!fades) return;
  paintOn(fadeCanvas, fades[0], [[fades[0], 1], [fades[1], position / 100]]);
  mark(fadeCanvas, "cross-fade", position);
}

function paintOn(canvas, { width, height }, layers) {
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
    canvas.style.aspectRatio = `${width} / ${height}`;
  }
  const context = canvas.getContext("2d");
  context.globalAlpha = 1;
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  for (const [bitmap, alpha] of layers) {
    context.globalAlpha = alpha;
    context.drawImage(bitmap, 0, 0);
  }
}

function mark(canvas, what, position) {
  canvas.dataset.t = position;
  canvas.setAttribute("aria-label", `${what}, t = ${(position / 100).toFixed(2)}`);
}

// The pictures in the size of the model's frames, which its first answer shows.
async function fitFades() {
  const { width, height } = frames.values().next().value ?? drawnCanvas;
  if (fades?.[0].width === width && fades[0].height === height) return;
  const [first, second] = ends;
  const fitted = await Promise.all([first, second].map(({ bitmap }) => fit(bitmap, width, height)));
  if (first === ends[0] && second === ends[1]) fades = fitted;
}

// A picture's middle, cut and resized.
function fit(bitmap, width, height) {
  const scale = Math.min(bitmap.width / width, bitmap.height / height);
  const [cutWidth, cutHeight] = [width * scale, height * scale].map(Math.round);
  const left = (bitmap.width - cutWidth) >> 1;
  const top = (bitmap.height - cutHeight) >> 1;
  return createImageBitmap(bitmap, left, top, cutWidth, cutHeight, {
    resizeWidth: width,
    resizeHeight: height,
    resizeQuality: "high",
  });
}

function say(text) {
  $("status").textContent = text;
}

function complain(text) {
  $("error").textContent = text;
}

function showConfidence(confidence) {
  const low = confidence < LOW_CONFIDENCE;
  const number = confidence < 0.01 ? "below 0.01" : confidence.toFixed(2);
  $("confidence").classList.toggle("low", low);
  $("confidence").textContent = low
    ? `Confidence ${number}: a picture is unlike the training pictures, or the two are too far apart. Do not trust what it draws.`
    : `Confidence ${number}: the pictures are like those that the model was trained on.`;
}

// Playing

function play() {
  const position = Number(slider.value);
  playing = { start: performance.now() - (position / 100) * PLAY_MS };
  failed = null;
  $("play").textContent = "Pause";
  ask();
  requestAnimationFrame(tick);
}

function stop() {
  playing = null;
  $("play").textContent = "Play";
}

function tick(now) {
  if (!playing) return;
  if (nextJob() === "all") {
    // The clock stands still until every frame is there.
    playing.start = now - (Number(slider.value) / 100) * PLAY_MS;
  } else {
    const phase = (Math.max(0, now - playing.start) / PLAY_MS) % 2;
    const t = phase <= 1 ? phase : 2 - phase;
    const position = Math.round((t * 100) / PLAY_STEP) * PLAY_STEP;
    if (position !== Number(slider.value)) {
      slider.value = position;
      show();
    }
  }
  requestAnimationFrame(tick);
}

// Pictures

// A file or a blob -> what `ends` holds. `source` is the address of a sample.
async function readPicture(blob, name, source) {
  name = name.replace(/\p{Cc}/gu, "_"); // A line break would end the curl command's here-document.
  let bitmap;
  try {
    bitmap = await createImageBitmap(blob);
  } catch {
    throw new Error(`${name}: not a picture that this browser can read.`);
  }
  const start = new Uint8Array(await blob.slice(0, 65536).arrayBuffer());
  const isPng = [0x89, 0x50, 0x4e, 0x47].every((byte, i) => start[i] === byte);
  const isJpeg = [0xff, 0xd8, 0xff].every((byte, i) => start[i] === byte);
  // The browser has turned it as EXIF says; a server would not.
  const isTurned = isJpeg && new TextDecoder("latin1").decode(start).includes("Exif\0");
  const isLarge = Math.max(bitmap.width, bitmap.height) > LARGEST_SIDE;
  let sent = name;
  if (!(isPng || (isJpeg && !isTurned)) || isLarge) {
    const type = isLarge || isJpeg ? "jpeg" : "png";
    blob = await redraw(bitmap, `image/${type}`);
    sent = `${name.replace(/\.[^.]*$/, "")}-sent.${type}`;
  }
  return { name, source, sent, bitmap, base64: await toBase64(blob) };
}

function redraw(bitmap, type) {
  const scale = Math.min(1, LARGEST_SIDE / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.fillStyle = "white";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => canvas.toBlob(resolve, type, 0.95));
}

function toBase64(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}

// Makes pictures, each {name, load, source}, the ends that begin with `which`. Of two for one end
// the later wins, whichever is read first.
async function take(which, pictures) {
  const places = pictures.map((picture, i) => [(which + i) % 2, picture]);
  for (const [end, picture] of places) {
    awaited[end] = picture;
    turn = 1 - end;
  }
  showTurn();
  try {
    const read = async ({ name, load, source }) => readPicture(await load(), name, source);
    const taken = await Promise.all(pictures.map(read));
    for (const [i, [end, picture]] of places.entries()) {
      if (awaited[end] !== picture) continue;
      ends[end] = taken[i];
      await showEnd(end);
    }
  } catch (error) {
    complain(error.message);
    turn = which;
    showTurn();
    return;
  }
  complain("");
  renew();
}

async function showEnd(end) {
  const { name, bitmap } = ends[end];
  const canvas = endLabels[end].querySelector("canvas");
  const fitted = await fit(bitmap, canvas.width, canvas.height);
  paintOn(canvas, fitted, [[fitted, 1]]);
  endLabels[end].classList.remove("empty");
  endLabels[end].querySelector(".name").textContent = name;
}

// The pair is another: nothing that was drawn holds any longer.
async function renew() {
  request?.abort();
  request = null;
  failed = null;
  frames.clear();
  masks.clear();
  delete drawnCanvas.dataset.t;
  fades = null;
  stop();
  $("confidence").textContent = "";
  showTurn();
  const ready = Boolean(ends[0] && ends[1]);
  slider.disabled = $("play").disabled = !ready;
  if (!ready) return;
  await fitFades();
  show();
  showModel(); // A new version may have come.
}

// Samples

function takeSamples(which, names) {
  const samples = names.map((name) => {
    const source = new URL(`samples/${encodeURIComponent(name)}`, page).href;
    const load = async () => {
      const answer = await fetchHere(source).catch(() => {
        throw new Error(`${page} cannot be reached.`);
      });
      if (!answer.ok) throw new Error(`Sample ${name}: the server says ${answer.status}.`);
      return answer.blob();
    };
    return { name, load, source };
  });
  take(which, samples);
}

function showSamples(names) {
  $("samples").hidden = names.length === 0;
  for (const [i, name] of names.entries()) {
    const button = document.createElement("button");
    const image = document.createElement("img");
    button.type = "button";
    button.dataset.name = name;
    showSample(image, `samples/${encodeURIComponent(name)}`);
    image.alt = `sample ${i + 1} of ${names.length}`;
    button.append(image);
    button.addEventListener("click", () => takeSamples(turn, [name]));
    button.addEventListener("dragstart", (event) => {
      event.dataTransfer.setData("text/x-sample", name);
    });
    button.draggable = true;
    image.draggable = false;
    $("strip").append(button);
  }
  showTurn();
}

async function showSample(image, source) {
  if (!token) {
    image.src = source;
    return;
  }
  const answer = await fetchHere(source); // An image by itself shows no token.
  if (answer.ok) image.src = URL.createObjectURL(await answer.blob());
}

function showTurn() {
  $("turn").textContent = `Click one to make it the ${["first", "second"][turn]} picture.`;
  for (const button of $("strip").children) {
    const uses = [0, 1].filter((end) => ends[end]?.source && ends[end].name === button.dataset.name);
    if (uses.length) button.dataset.end = uses.map((end) => end + 1).join(" ");
    else delete button.dataset.end;
  }
}

// The request as curl

function quote(word) {
  return /^[\w./:@%+,=-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

// Files are read by the shell, for what base64 makes of them is too long for a command line.
function writeCurl() {
  if (!ends[0] || !ends[1]) {
    $("curl").textContent = "# after two pictures are chosen";
    return;
  }
  const before = new Set();
  const shown = token ? '-H "Authorization: Bearer $(cat token)" ' : "";
  for (const { name, source, sent } of ends) {
    if (source) before.add(`curl -s ${shown}-o ${quote(name)} ${quote(source)}`);
    else if (sent !== name) before.add(`# ${sent}: ${name} as a PNG or JPEG`);
  }
  const files = ends.map(({ sent }) => `"$(base64 < ${quote(sent)} | tr -d '\\n')"`);
  $("curl").textContent = [
    ...before,
    `curl -s ${shown}-d @- ${quote(`${server}/v1/models/${encodeURIComponent(model)}:predict`)} <<END`,
    '{"signature_name": "inbetween_png", "inputs": {',
    `  "first_bytes": [{"b64": ${files[0]}}],`,
    `  "second_bytes": [{"b64": ${files[1]}}],`,
    `  "t": [${Number(slider.value) / 100}]}}`,
    "END",
  ].join("\n");
}

async function copyCurl() {
  const button = $("copy");
  try {
    await navigator.clipboard.writeText($("curl").textContent);
    button.textContent = "Copied";
  } catch {
    // Browsers keep the clipboard from pages that came over plain HTTP from another machine.
    getSelection().selectAllChildren($("curl"));
    button.textContent = "Selected: copy with Ctrl+C";
  }
  setTimeout(() => (button.textContent = "Copy"), 2500);
}

// Everything that a person does

slider.addEventListener("input", () => {
  stop();
  failed = null;
  show();
});
$("play").addEventListener("click", () => {
  if (!playing) return play();
  stop();
  show();
});
maskBox.addEventListener("change", () => {
  $("key").hidden = !maskBox.checked;
  failed = null;
  if (ends[0] && ends[1]) show();
});
$("copy").addEventListener("click", copyCurl);
$("request").addEventListener("toggle", writeCurl);

for (const [end, label] of endLabels.entries()) {
  const input = label.querySelector("input");
  label.classList.add("empty");
  input.addEventListener("change", () => {
    takeFiles(end, input.files);
    input.value = ""; // So that the same file can be picked again.
  });
  label.addEventListener("dragenter", () => label.classList.add("over"));
  label.addEventListener("dragleave", (event) => {
    if (!label.contains(event.relatedTarget)) label.classList.remove("over");
  });
}

document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", (event) => {
  event.preventDefault();
  const over = endLabels.findIndex((label) => label.contains(event.target));
  for (const label of endLabels) label.classList.remove("over");
  const sample = event.dataTransfer.getData("text/x-sample");
  const which = over < 0 ? turn : over;
  if (sample) takeSamples(which, [sample]);
  else takeFiles(event.dataTransfer.files.length > 1 ? 0 : which, event.dataTransfer.files);
});

function takeFiles(which, files) {
  const pictures = Array.from(files).slice(0, 2);
  take(which, pictures.map((file) => ({ name: file.name, load: async () => file })));
}

$("login").addEventListener("submit", (event) => {
  event.preventDefault();
  token = $("token").value.trim();
  sessionStorage.setItem(`token of ${server}`, token);
  $("login").reset();
  $("login").hidden = true;
  complain("");
  start();
});

// Start

async function start() {
  if (!/^https?:/.test(server) || !URL.canParse(server)) {
    complain(`?server=${server}: must be http://HOST:PORT`);
    return;
  }
  const { protocol, hostname, origin } = new URL(server);
  const policy = document.createElement("meta");
  policy.httpEquiv = "Content-Security-Policy";
  // The policy's grammar knows no IPv6 addresses.
  policy.content = `connect-src 'self' ${hostname.startsWith("[") ? protocol : origin}`;
  document.head.append(policy);

  let samples = [];
  try {
    const answer = await fetchHere("samples.json");
    if (answer.status === 401) {
      complain(token ? "That is not the server's token." : "Enter the server's token.");
      askToken();
      return;
    }
    const listed = answer.ok ? await answer.json() : {};
    samples = listed.samples ?? [];
    model ??= listed.model ?? null;
  } catch {
    // A page that something else serves has no samples.
  }
  if (!model) {
    complain("Which model? Add ?model=NAME to the address of this page.");
    return;
  }
  $("strip").replaceChildren();
  showSamples(samples);
  showModel();
  // A third of the way along: far apart, and on a full turn not back where it began.
  if (samples.length > 1) {
    takeSamples(0, [samples[0], samples[Math.max(1, Math.round(samples.length / 3))]]);
  }
}

async function showModel() {
  const where = server + "/" === page ? "" : ` on ${new URL(server).host}`;
  $("model").textContent = model + where;
  try {
    const { model_version_status: versions = [] } = await call("");
    const newest = versions.find(({ state }) => state === "AVAILABLE");
    if (!newest) throw new Error(`No version of ${model} is available yet.`);
    $("model").textContent = `${model}, version ${newest.version}${where}`;
    if (newest.version !== version) {
      version = newest.version;
      await offerWhatItHas();
    }
  } catch (error) {
    complain(error.message);
  }
}

// The checkbox stands there only if the model says what it copied. Other kinds have their own page.
async function offerWhatItHas() {
  const { metadata } = await call("/metadata").catch(() => ({}));
  const signatures = metadata?.signature_def?.signature_def;
  if (signatures?.inbetween_text) location.replace(`text.html${location.search}`);
  if (signatures?.inbetween_wav) location.replace(`sound.html${location.search}`);
  $("copied").hidden = !signatures?.mask_png;
  if (!$("copied").hidden) return;
  maskBox.checked = false;
  $("key").hidden = true;
}

start();
