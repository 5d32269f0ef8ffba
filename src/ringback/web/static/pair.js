// The pairing code stands in the fragment, which the browser keeps to itself: the command is put together here.
"use strict";

const code = decodeURIComponent(location.hash.slice(1)).replace(/[^0-9A-Za-z-]/g, "");
if (code) {
  const server = location.origin + location.pathname.replace(/\/pair\/?$/, "");
  document.querySelector("#with-code code").textContent =
    `pkg install -y python termux-api curl && curl -fsSo agent.pyz '${server}/agent.pyz' &&` +
    ` python agent.pyz pair '${server}/pair#${code}'`;
  document.getElementById("with-code").hidden = false;
  document.getElementById("without-code").hidden = true;
}
