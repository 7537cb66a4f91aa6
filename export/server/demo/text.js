// The page of a model of text. It asks TF Serving's REST API, and nothing else but for the samples.
//
//   ?server=http://HOST:PORT   the server to ask; without it, the one that the page came from
//   &model=NAME                the model; without it, the one that samples.json names
"use strict";

const BETWEEN = 7; // Lines between the two.
const TIMEOUT_MS = 30_000;
const LOW_CONFIDENCE = 0.5;
const PAUSE_MS = 300; // After a key, before the server is asked.

const query = new URLSearchParams(location.search);
const page = new URL(".", location.href).href;
const server = (query.get("server") ?? page).replace(/\/+$/, "");
let model = query.get("model");
let token = sessionStorage.getItem(`token of ${server}`);
let request = null; // The one in flight, an AbortController.
let pause = null; // The timer of the next one.

const $ = (id) => document.getElementById(id);
const ends = [$("first"), $("second")];
const times = Array.from({ length: BETWEEN }, (_, i) => (i + 1) / (BETWEEN + 1));

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

async function predict(body, signal) {
  let answer;
  try {
    answer = await fetch(address(), {
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

function address() {
  return `${server}/v1/models/${encodeURIComponent(model)}:predict`;
}

function bodies() {
  const [first, second] = ends.map((end) => [end.value]);
  return [
    { signature_name: "sequence_text", inputs: { first, second, t: [times] } },
    { signature_name: "inbetween_text", inputs: { first, second, t: [0.5] } },
  ];
}

async function ask() {
  request?.abort();
  writeCurl();
  if (!model || ends.some((end) => !end.value.trim())) return;
  const mine = new AbortController();
  request = mine;
  try {
    const answers = await Promise.all(bodies().map((body) => predict(body, mine.signal)));
    if (request !== mine) return;
    const [lines] = answers[0].text ?? answers[0]; // A single output stands there without its name.
    show(lines);
    showConfidence(answers[1].confidence[0]);
    complain("");
  } catch (error) {
    if (request !== mine) return;
    show([]);
    $("confidence").textContent = "";
    complain(error.message);
  }
}

function show(lines) {
  $("between").replaceChildren(
    ...lines.map((line) => Object.assign(document.createElement("li"), { textContent: line })),
  );
}

function showConfidence(confidence) {
  const low = confidence < LOW_CONFIDENCE;
  $("confidence").classList.toggle("low", low);
  $("confidence").textContent =
    `Confidence ${confidence.toFixed(2)}` +
    (low ? ": a line is unlike the training lines. Do not trust what it writes." : ".");
}

function complain(text) {
  $("error").textContent = text;
}

function quote(word) {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

function writeCurl() {
  const shown = token ? '-H "Authorization: Bearer $(cat token)" ' : "";
  const body = JSON.stringify(bodies()[0]);
  $("curl").textContent = model ? `curl -s ${shown}-d ${quote(body)} ${quote(address())}` : "";
}

for (const end of ends) {
  end.addEventListener("input", () => {
    clearTimeout(pause);
    pause = setTimeout(ask, PAUSE_MS);
  });
}
$("lines").addEventListener("submit", (event) => {
  event.preventDefault();
  ask();
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
    samples = (listed.samples ?? []).filter((name) => name.endsWith(".txt"));
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
  if (samples.length > 1 && ends.every((end) => !end.value)) {
    const chosen = [samples[0], samples[1]];
    for (const [i, name] of chosen.entries()) {
      const answer = await fetchHere(`samples/${encodeURIComponent(name)}`);
      if (answer.ok) ends[i].value = (await answer.text()).trim();
    }
  }
  ask();
}

start();
