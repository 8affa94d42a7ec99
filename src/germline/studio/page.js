"use strict";
// One showing at a time. Nothing is counted as answered before the server has said that it is on disk.
const find = (id) => document.getElementById(id);
const KINDS = {
  pairs: [
    { id: "left", text: "Left", key: "←", keys: ["ArrowLeft", "a"] },
    { id: "tie", text: "Equal", key: "↑", keys: ["ArrowUp", "w"] },
    { id: "bad", text: "Both bad", key: "↓", keys: ["ArrowDown", "s"] },
    { id: "right", text: "Right", key: "→", keys: ["ArrowRight", "d"] },
  ],
  keep: [
    { id: "reject", text: "Reject", key: "←", keys: ["ArrowLeft", "r", "x"] },
    { id: "keep", text: "Keep", key: "→", keys: ["ArrowRight", "k"] },
  ],
};
const BADGES = { appeal: "looks better", faithfulness: "fits the text", kept: "" };
const AHEAD = 3, HELD = 12, SMALL = 160; // showings loaded before they are needed; pictures held; pixels a side that are drawn as squares
const held = new Map();
let study, rater, deck, place = 0, step = 0, busy = false, ready = false;

async function ask(path, body) {
  const how = body && { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), keepalive: true };
  const answer = await fetch(path, how || {});
  const said = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(said.error), { refused: true });
  return said;
}

function trouble(text) {
  find("trouble").hidden = !text;
  find("trouble").textContent = text || "";
}

const wait = (milliseconds) => new Promise((go) => setTimeout(go, milliseconds));

// Sends until the server has it: while it is away nothing else can be answered, so nothing is lost or skipped.
async function send(vote) {
  for (;;) {
    try {
      const said = await ask("/vote", vote);
      trouble("");
      return said;
    } catch (error) {
      if (error.refused) throw error;
      trouble("Not saved: the server does not answer. Start it again with the same command; this answer is sent as soon as it is back.");
      await wait(1000);
    }
  }
}

const address = (number) => `/image/${number}?${study.key}`;

function load(number) {
  const where = address(number);
  if (!held.has(where)) {
    const image = new Image();
    image.src = where;
    held.set(where, image);
    while (held.size > Math.max(HELD, 2 * AHEAD + 2)) held.delete(held.keys().next().value);
  }
  return held.get(where);
}

const missing = (showing) => study.questions.findIndex((question) => !(question.id in showing.answers));
const open = () => deck.findIndex((showing) => missing(showing) >= 0);
const finished = () => deck.filter((showing) => missing(showing) < 0).length;

function stage(name) {
  document.body.dataset.stage = name;
  find("who").textContent = rater || "";
  find("who").hidden = name === "welcome";
}

function progress() {
  const done = finished(), share = (100 * done) / deck.length;
  find("count").textContent = `${Math.min(place + 1, deck.length)} of ${deck.length}`;
  find("done-share").style.width = `${share}%`;
  document.querySelector(".track").setAttribute("aria-valuenow", Math.round(share));
}

function element(tag, attributes, ...inside) {
  const made = Object.assign(document.createElement(tag), attributes);
  made.append(...inside);
  return made;
}

function go(to, question) {
  place = to;
  step = question;
  if (place < 0) {
    place = deck.length;
    stage("done");
    find("done-title").textContent = "That was all. Thank you.";
    find("done-text").textContent = `${deck.length} of ${deck.length} answered and saved. You may close this page.`;
    progress();
    find("count").textContent = "";
    return;
  }
  stage("vote");
  show();
}

function onward() {
  const at = open();
  go(at, at < 0 ? 0 : missing(deck[at]));
}

function back() {
  if (busy) return;
  if (step > 0 && place < deck.length) return go(place, step - 1);
  if (place > 0) go(place - 1, study.questions.length - 1);
}

async function show() {
  const showing = deck[place], shown = showing.pictures.join(), sides = study.kind === "pairs" ? ["left", "right"] : ["keep"];
  const stageNow = find("stage");
  progress();
  controls(showing);
  if (stageNow.dataset.shown !== shown) {
    ready = false;
    stageNow.dataset.shown = shown;
    find("prompt").textContent = showing.prompt;
    stageNow.replaceChildren(
      ...showing.pictures.map((number, side) => {
        const image = element("img", { src: address(number), alt: sides.length > 1 ? `${sides[side]} picture` : "picture", className: "waiting", draggable: false });
        const badges = element("span", { className: "badges" });
        const frame = element("button", { type: "button", className: "picture", tabIndex: -1 }, image, badges);
        frame.dataset.answer = sides[side];
        frame.addEventListener("click", () => answer(frame.dataset.answer));
        return frame;
      }),
    );
    const images = [...stageNow.querySelectorAll("img")];
    try {
      await Promise.all(images.map((image) => image.decode()));
    } catch {
      if (stageNow.dataset.shown === shown) await explain(showing, images);
      return;
    }
    if (stageNow.dataset.shown !== shown) return;
    for (const image of images) {
      image.classList.toggle("small", Math.max(image.naturalWidth, image.naturalHeight) <= SMALL);
      image.classList.remove("waiting");
    }
    ready = true;
  }
  marks(showing);
  for (const next of deck.slice(place + 1, place + 1 + AHEAD)) next.pictures.forEach(load);
}

async function explain(showing, images) {
  const broken = images.findIndex((image) => !image.naturalWidth);
  try {
    await ask(address(showing.pictures[Math.max(broken, 0)]));
  } catch (error) {
    trouble(error.refused ? error.message : "A picture cannot be loaded: the server does not answer. Start it again; this page goes on by itself.");
    if (error.refused) return;
  }
  await wait(1000);
  find("stage").dataset.shown = "";
  trouble("");
  show();
}

function marks(showing) {
  for (const frame of document.querySelectorAll(".picture")) {
    const side = frame.dataset.answer, here = study.questions[step].id;
    frame.querySelector(".badges").replaceChildren(
      ...study.questions
        .map((question, number) => [question, number])
        .filter(([question]) => BADGES[question.id] && showing.answers[question.id] === side)
        .map(([question, number]) => element("span", { className: `badge q${number}` }, BADGES[question.id])),
    );
    frame.classList.toggle("chosen", study.kind === "pairs" && showing.answers[here] === side);
  }
}

function controls(showing) {
  const question = study.questions[step];
  find("ask").className = `q${step}`;
  find("step").textContent = study.questions.length > 1 ? `${step + 1} of ${study.questions.length}` : "";
  find("question-text").textContent = question.text;
  find("answers").replaceChildren(
    ...KINDS[study.kind].map((one) => {
      const made = element("button", { type: "button", className: `is-${one.id}` }, element("kbd", {}, one.key), one.text);
      made.dataset.answer = one.id;
      made.setAttribute("aria-pressed", showing.answers[question.id] === one.id);
      made.addEventListener("click", () => answer(one.id));
      return made;
    }),
  );
  find("undo").disabled = place === 0 && step === 0;
  find("ahead").hidden = !(question.id in showing.answers);
}

async function answer(what) {
  if (busy || !ready || document.body.dataset.stage !== "vote") return;
  busy = true;
  const showing = deck[place], question = study.questions[step].id, changed = question in showing.answers;
  find("answers").querySelector(`[data-answer="${what}"]`).classList.add("now");
  try {
    await send({ rater, place, question, answer: what });
    showing.answers[question] = what;
  } catch (error) {
    trouble(`Not saved: ${error.message}`);
    return controls(showing);
  } finally {
    busy = false;
  }
  if (document.activeElement instanceof HTMLElement) document.activeElement.blur();
  if (!changed && step + 1 < study.questions.length && !(study.questions[step + 1].id in showing.answers)) go(place, step + 1);
  else onward();
}

async function begin(name) {
  const dealt = await ask(`/deck?rater=${encodeURIComponent(name)}`);
  rater = dealt.rater;
  deck = dealt.showings;
  localStorage.setItem(`germline-vote-${study.key}`, rater);
  find("stage").dataset.shown = "";
  onward();
}

function welcome() {
  rater = "";
  const pairs = study.kind === "pairs", n = study.total / study.questions.length;
  stage("welcome");
  find("count").textContent = "";
  find("done-share").style.width = "0";
  find("welcome-title").textContent = pairs ? "Which of two pictures?" : "Keep or reject?";
  find("welcome-text").textContent = pairs
    ? `${n} pairs of pictures, ${study.questions.length > 1 ? "two questions" : "one question"} each. Nobody is told where a picture comes from.`
    : `${n} pictures, one key each.`;
  const rules = [
    ...(pairs
      ? [study.questions.length > 1 ? "Answer the two questions apart: a fine picture may show something else than the text." : "",
         "Equal and both bad are answers too. Some pairs come twice."]
      : []),
    "The arrow keys answer, Backspace goes back.",
    "Every answer is saved at once. Close the page when you like; under the same name you go on where you stopped.",
  ];
  find("rules").replaceChildren(...rules.filter(Boolean).map((text) => element("li", {}, text)));
  find("known").hidden = !study.raters.length;
  find("raters").replaceChildren(
    ...study.raters.map((known) => {
      const made = element("button", { type: "button" }, known.name, element("span", {}, `${Math.floor((100 * known.done) / study.total)} %`));
      made.addEventListener("click", () => tried(() => begin(known.name)));
      return element("li", {}, made);
    }),
  );
  find("name").focus();
}

async function tried(act) {
  try {
    trouble("");
    await act();
  } catch (error) {
    trouble(error.refused ? error.message : "The server does not answer. Start it again, then reload this page.");
  }
}

document.addEventListener("keydown", (event) => {
  const now = document.body.dataset.stage;
  if (event.ctrlKey || event.metaKey || event.altKey || !["vote", "done"].includes(now)) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const undo = key === "Backspace" || key === "u", chosen = now === "vote" && KINDS[study.kind].find((one) => one.keys.includes(key));
  const ahead = now === "vote" && key === "Enter" && !find("ahead").hidden && document.activeElement === document.body;
  if (!undo && !chosen && !ahead) return;
  event.preventDefault();
  if (event.repeat) return; // a key that is held down is no second answer
  if (undo) back();
  else if (ahead) onward();
  else answer(chosen.id);
});
find("undo").addEventListener("click", back);
find("again").addEventListener("click", back);
find("ahead").addEventListener("click", onward);
find("sign-in").addEventListener("submit", (event) => {
  event.preventDefault();
  tried(() => begin(find("name").value));
});
find("who").addEventListener("click", () => tried(async () => {
  localStorage.removeItem(`germline-vote-${study.key}`);
  study = await ask("/study");
  find("name").value = "";
  welcome();
}));

tried(async () => {
  study = await ask("/study");
  const known = localStorage.getItem(`germline-vote-${study.key}`);
  if (known) await begin(known);
  else welcome();
});
