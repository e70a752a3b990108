"use strict";
// Looks again when something has happened on this phone; counts the seconds down in between.
const seq = document.body.dataset.seq, left = document.getElementById("left");
async function look() {
	try {
		const r = await fetch(location.pathname + "/state", { cache: "no-store" });
		const s = await r.json();
		if (String(s.seq) !== seq) return location.reload();
		if (left && s.left !== null) left.textContent = s.left;
	} catch (e) { /* the simulator may be starting again */ }
	setTimeout(look, 700);
}
if (seq) look();
