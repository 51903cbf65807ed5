// Pages work without this. With it they follow what happens: the server makes the page anew, and what changed is put in.

const seconds = (at) => Math.max(0, Math.floor((Date.now() - Date.parse(at)) / 1000));

// The same words as the filters of the server.
function duration(s) {
  if (s >= 86400) return `${Math.floor(s / 86400)} d ${Math.floor(s / 3600) % 24} h`;
  if (s >= 3600) return `${Math.floor(s / 3600)} h ${Math.floor(s / 60) % 60} min`;
  if (s >= 60) return `${Math.floor(s / 60)} min ${s % 60} s`;
  return `${s} s`;
}

function ago(s) {
  if (s < 5) return "just now";
  if (s < 60) return `${s} s ago`;
  if (s < 3600) return `${Math.floor(s / 60)} min ago`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ago`;
  return `${Math.floor(s / 86400)} d ago`;
}

function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function tick() {
  for (const element of document.querySelectorAll("[data-since]")) write(element, duration(seconds(element.dataset.since)));
  for (const element of document.querySelectorAll("[data-ago]")) write(element, ago(seconds(element.dateTime)));
}

// What a part says, without the times that tick.
function still(part) {
  const copy = part.cloneNode(true);
  for (const element of copy.querySelectorAll("[data-since], [data-ago]")) element.textContent = "";
  return copy.innerHTML;
}

let fetching = false;
let again = false;

async function refresh() {
  again = true;
  if (fetching) return;
  fetching = true;
  try {
    while (again) {
      again = false;
      const answer = await fetch(location.href, { headers: { accept: "text/html" } });
      if (!answer.ok) break;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      // A part that comes or goes (a log that begins, tasks of an accepted job) changes the page as a whole.
      const ids = (root) => [...root.querySelectorAll("main > [id]")].map((part) => part.id).join();
      if (ids(page) !== ids(document)) return location.reload();
      for (const part of page.querySelectorAll("[data-live]")) {
        const old = document.getElementById(part.id);
        if (still(old) !== still(part)) old.replaceWith(document.adoptNode(part));
      }
      document.title = page.title;
    }
  } catch {
    // The server is away for a moment; the next event or tick asks again.
  } finally {
    fetching = false;
  }
}

// Events of the server, until a handler says that there will be no more. A browser has six connections to a server, for
// all its pages together, so a page that is hidden gives its own back, and goes on from there when it is seen again.
function feed(url, handlers) {
  let source;
  let last;
  let ended = false;
  const close = () => {
    source?.close();
    source = undefined;
  };
  const open = () => {
    if (source || ended || document.hidden) return;
    source = new EventSource(last ? url.replace(/start=\d+/, `start=${last}`) : url);
    for (const [name, handle] of Object.entries(handlers)) {
      source.addEventListener(name, (event) => {
        last = event.lastEventId || last;
        ended = handle(event) === "end";
        if (ended) close();
      });
    }
    source.addEventListener("error", () => {
      // The browser comes back by itself, unless the server refused.
      if (source?.readyState !== EventSource.CLOSED) return;
      close();
      setTimeout(open, 5000);
    });
  };
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  open();
}

function followJob(url) {
  feed(url, {
    job: (event) => {
      refresh();
      const { progress } = JSON.parse(event.data);
      return ["succeeded", "failed", "cancelled", "rejected"].includes(progress) ? "end" : "";
    },
  });
}

function followLog(log) {
  feed(log.dataset.log, {
    log: (event) => {
      const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
      log.append(JSON.parse(event.data).text);
      // A page is no place for a log of a hundred megabytes.
      while (log.childNodes.length > 2000) log.firstChild.remove();
      if (atEnd) log.scrollTop = log.scrollHeight;
    },
    end: () => "end",
  });
}

const { job, refresh: every } = document.body.dataset;
if (job) followJob(job);
if (every) setInterval(() => document.hidden || refresh(), every * 1000);
setInterval(tick, 1000);

const log = document.querySelector("pre.log");
if (log) {
  if (!("from" in log.dataset)) log.scrollTop = log.scrollHeight;
  if (log.dataset.log) followLog(log);
}
