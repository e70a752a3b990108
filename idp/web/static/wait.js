'use strict';
// Asks whether the phone has answered, less and less often, and moves on when it has.
(function () {
	var box = document.getElementById('wait'), left = document.getElementById('left'), state = document.getElementById('state');
	var quiet = state.textContent, wait = 1500, ends = 0;

	function say(node, text) {
		if (node.textContent !== text)
			node.textContent = text;
	}
	function tick() {
		if (!ends)
			return;
		var n = Math.max(0, Math.round((ends - Date.now()) / 1000));
		say(left, n > 0 ? box.dataset.left.replace('#', n) : box.dataset.over);
	}
	function learned(answer) {
		if (answer.state === 'done')
			return document.getElementById('go').requestSubmit();
		if (Number.isInteger(answer.seconds_left))
			ends = Date.now() + answer.seconds_left * 1000;
		say(state, quiet);
		later();
	}
	function lost() {
		say(state, box.dataset.lost);
		later();
	}
	function later() {
		setTimeout(ask, wait);
		wait = Math.min(wait * 1.25, 5000);
	}
	function ask() {
		fetch(box.dataset.poll, { cache: 'no-store', headers: { Accept: 'application/json' } })
			.then(function (r) { return r.ok ? r.json() : Promise.reject(r.status); })
			.then(learned).catch(lost);
	}
	// The phone may be the same device: look at once when the person comes back to the page.
	document.addEventListener('visibilitychange', function () {
		if (!document.hidden)
			wait = 1500;
	});
	var shown = /\d+/.exec(left.textContent);
	if (shown)
		ends = Date.now() + shown[0] * 1000;
	setInterval(tick, 1000);
	setTimeout(ask, wait);
})();
