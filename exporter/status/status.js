"use strict";
// Puts in what is new every two seconds, keeps what was opened and where one is, and says so when nothing new comes.
(() => {
  const EVERY = 2000, DEADLINE = 4000, OLD = 6000;
  const gone = document.getElementById("gone");
  // Without the name and password that the address bar may hold, which fetch refuses.
  const here = location.origin + location.pathname + location.search;
  let fresh = Date.now(), asking = false, held = false;

  const seconds = (span) => Math.round(span / 1000) + " s";

  function tell() {
    const age = Date.now() - fresh, old = age > OLD;
    gone.hidden = !old;
    document.body.classList.toggle("old", old);
    if (old) {
      gone.textContent = held
        ? "Held still while text is selected: this page is " + seconds(age) + " old."
        : "The exporter does not answer: this page is " + seconds(age) + " old.";
    }
  }

  function take(page) {
    const next = page.querySelector("main"), now = document.querySelector("main");
    if (!next) throw new Error("not the page");
    if (page.documentElement.dataset.build !== document.documentElement.dataset.build) {
      location.reload();
      return;
    }
    for (const old of now.querySelectorAll("details[id]")) {
      const same = next.querySelector("#" + old.id);
      if (same) same.open = old.open;
    }
    const focused = now.contains(document.activeElement) ? document.activeElement.id : "";
    now.replaceWith(next);
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
    document.title = page.title;
    document.querySelector("link[rel=icon]").href = page.querySelector("link[rel=icon]").href;
  }

  async function refresh() {
    held = !getSelection().isCollapsed;
    if (!asking && !held && !document.hidden) {
      asking = true;
      try {
        const answer = await fetch(here, { cache: "no-store", signal: AbortSignal.timeout?.(DEADLINE) });
        if (!answer.ok) throw new Error(answer.status);
        take(new DOMParser().parseFromString(await answer.text(), "text/html"));
        fresh = Date.now();
      } catch {
        // told below, by the age
      }
      asking = false;
    }
    tell();
  }

  setInterval(refresh, EVERY);
  document.addEventListener("visibilitychange", refresh);
})();
