// The page of a model of sound. It asks TF Serving's REST API, and nothing else but for the samples.
//
//   ?server=http://HOST:PORT   the server to ask; without it, the one that the page came from
//   &model=NAME                the model; without it, the one that samples.json names
"use strict";

const RATE = 16_000; // Hz, of the files that are sent.
const GLIDE = 9; // Sounds in the glide, both ends among them.
const TIMEOUT_MS = 60_000;
const LOW_CONFIDENCE = 0.5;
const PAUSE_MS = 300; // After a change, before the server is asked.

const query = new URLSearchParams(location.search);
const page = new URL(".", location.href).href;
const server = (query.get("server") ?? page).replace(/\/+$/, "");
let model = query.get("model");
let token = sessionStorage.getItem(`token of ${server}`);
let request = null; // The one in flight, an AbortController.
let pause = null; // The timer of the next one.

const $ = (id) => document.getElementById(id);
const files = { first: null, second: null }; // WAV files, Uint8Array.

function authorization() {
  return token ? { Authorization: `Bearer ${token}` } : {};
}

function askToken() {
  $("login").hidden = false;
  $("token").focus();
}

// What belongs to the page, with the token if it is the one server's that has it.
function fetchHere(path) {
  return fetch(path, { headers: page.startsWith(server) ? authorization() : {} });
}

function complain(text) {
  $("error").textContent = text;
}

function toBase64(bytes) {
  let text = "";
  for (let i = 0; i < bytes.length; i += 32_768) {
    text += String.fromCharCode(...bytes.subarray(i, i + 32_768));
  }
  return btoa(text);
}

function fromBase64(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

// Samples in [-1, 1] as a WAV file of 16 bits.
function toWav(samples) {
  const view = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  const write = (place, text) => {
    for (let i = 0; i < text.length; i++) view.setUint8(place + i, text.charCodeAt(i));
  };
  write(0, "RIFF");
  view.setUint32(4, 36 + 2 * samples.length, true);
  write(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, RATE, true);
  view.setUint32(28, 2 * RATE, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  write(36, "data");
  view.setUint32(40, 2 * samples.length, true);
  samples.forEach((sample, i) => {
    view.setInt16(44 + 2 * i, Math.round(32_767 * Math.max(-1, Math.min(1, sample))), true);
  });
  return new Uint8Array(view.buffer);
}

// Whatever the browser can decode, as a WAV file of the server's kind.
async function converted(content) {
  const decoder = new OfflineAudioContext(1, 1, RATE); // It resamples to its own rate.
  const sound = await decoder.decodeAudioData(content);
  const mixed = new Float32Array(sound.length);
  for (let c = 0; c < sound.numberOfChannels; c++) {
    sound.getChannelData(c).forEach((value, i) => (mixed[i] += value / sound.numberOfChannels));
  }
  return toWav(mixed);
}

function load(player, bytes) {
  if (player.src) URL.revokeObjectURL(player.src);
  player.src = URL.createObjectURL(new Blob([bytes], { type: "audio/wav" }));
}

async function choose(end, content, name) {
  try {
    files[end] = await converted(content);
  } catch {
    complain(`${name}: this browser cannot decode it as sound.`);
    return;
  }
  load($(end), files[end]);
  complain("");
  askSoon();
}

async function predict(body, signal) {
  let answer;
  try {
    answer = await fetch(`${server}/v1/models/${encodeURIComponent(model)}:predict`, {
      method: "POST",
      body: JSON.stringify(body),
      headers: { "Content-Type": "application/json", ...authorization() },
      signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
    });
  } catch (error) {
    if (signal.aborted) throw error;
    throw new Error(
      error.name === "TimeoutError"
        ? `${server} did not answer within ${TIMEOUT_MS / 1000} s.`
        : `${server} cannot be reached, or does not allow this page to call it (CORS).`,
    );
  }
  const content = await answer.json().catch(() => ({}));
  if (answer.status === 401) askToken();
  if (!answer.ok) {
    throw new Error(`The server says ${answer.status}: ${content.error ?? answer.statusText}`);
  }
  if (!content.outputs) throw new Error(`${server} does not answer as TF Serving does.`);
  return content.outputs;
}

function body(signature, t) {
  const ends = Object.entries(files).map(([end, file]) => [`${end}_bytes`, [{ b64: toBase64(file) }]]);
  return { signature_name: signature, inputs: { ...Object.fromEntries(ends), t } };
}

async function ask() {
  request?.abort();
  if (!model || !files.first || !files.second) return;
  const mine = new AbortController();
  request = mine;
  $("status").textContent = "Asking the server.";
  try {
    const between = await predict(body("inbetween_wav", [Number($("t").value)]), mine.signal);
    load($("between"), fromBase64(between.sound_bytes[0].b64));
    showConfidence(between.confidence[0]);
    const times = Array.from({ length: GLIDE }, (_, i) => i / (GLIDE - 1));
    const glide = await predict(body("glide_wav", [times]), mine.signal);
    const [file] = glide.sound_bytes ?? glide; // A single output stands there without its name.
    load($("glide"), fromBase64(file.b64));
    complain("");
  } catch (error) {
    if (request !== mine) return;
    complain(error.message);
  }
  if (request === mine) $("status").textContent = "";
}

function askSoon() {
  clearTimeout(pause);
  pause = setTimeout(ask, PAUSE_MS);
}

function showConfidence(confidence) {
  const low = confidence < LOW_CONFIDENCE;
  $("confidence").classList.toggle("low", low);
  $("confidence").textContent =
    `Confidence ${confidence.toFixed(2)}` +
    (low ? ": a sound is unlike the training sounds. Do not trust what it plays." : ".");
}

async function chooseSample(end) {
  const name = $(`${end}_sample`).value;
  const answer = await fetchHere(`samples/${encodeURIComponent(name)}`);
  if (answer.ok) await choose(end, await answer.arrayBuffer(), name);
}

for (const end of Object.keys(files)) {
  $(`${end}_sample`).addEventListener("change", () => chooseSample(end));
  $(`${end}_file`).addEventListener("change", async (event) => {
    const [file] = event.target.files;
    if (file) await choose(end, await file.arrayBuffer(), file.name);
  });
}
$("t").addEventListener("input", () => {
  $("place").textContent = Number($("t").value).toFixed(2);
  askSoon();
});
$("login").addEventListener("submit", (event) => {
  event.preventDefault();
  token = $("token").value.trim();
  sessionStorage.setItem(`token of ${server}`, token);
  $("login").reset();
  $("login").hidden = true;
  start();
});

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
    samples = (listed.samples ?? []).filter((name) => name.endsWith(".wav"));
    model ??= listed.model ?? null;
  } catch {
    // A page that something else serves has no samples.
  }
  if (!model) {
    complain("Which model? Add ?model=NAME to the address of this page.");
    return;
  }
  $("model").textContent = model;
  complain("");
  for (const [end, place] of [["first", 0], ["second", samples.length - 1]]) {
    const options = samples.map((name) => new Option(name.replace(/\.wav$/, ""), name));
    $(`${end}_sample`).replaceChildren(...options);
    if (samples.length > 1 && !files[end]) {
      $(`${end}_sample`).selectedIndex = place;
      await chooseSample(end);
    }
  }
}

start();
