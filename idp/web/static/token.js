'use strict';
// Signs by the program on this computer (motid-token). The PIN never comes here: the program asks for it itself, learns which
// site asks from the browser (Origin), and signs that site's name together with the nonce.
var tokenPage = (function () {
	var form = document.getElementById('token-form'), texts = form.dataset;
	function id(name) { return document.getElementById(name); }
	var SAY = { user_cancelled: 'cancelled', pin_incorrect: 'pin', pin_blocked: 'blocked', no_token: 'empty', origin_refused: 'refused', busy: 'another' };

	function say(text) { id('token-status').textContent = text; }
	function busy(on) {
		form.setAttribute('aria-busy', on);
		['token-helper', 'token-webeid', 'token-retry'].forEach(function (b) { id(b).disabled = on; });
	}
	function failed(code) {
		busy(false);
		say(texts[SAY[code] || 'failed']);
	}
	function send(token) {
		form.elements.token.value = JSON.stringify(token);
		form.requestSubmit();
	}
	function ask(path, options, ms) {
		var stop = new AbortController(), timer = setTimeout(function () { stop.abort(); }, ms);
		options.signal = stop.signal;
		options.credentials = 'omit';
		options.cache = 'no-store';
		return fetch(texts.helper + path, options).then(function (r) { return r.json(); }).finally(function () { clearTimeout(timer); });
	}
	function sign() {
		busy(true);
		say(texts.busy);
		ask('/sign', { method: 'POST', headers: { 'Content-Type': 'application/json' },
			body: JSON.stringify({ nonce: texts.nonce, lang: texts.lang }) }, 180000)
			.then(function (a) { return a.error ? failed(a.error) : send(a); })
			.catch(function () { failed('failed'); });
	}
	function found(a) {
		if (a.name !== 'motid-token')
			return missing();
		id('token-helper').hidden = !a.token;
		id('token-retry').hidden = !!a.token;
		say(a.token ? texts.ready.replace('#', function () { return String(a.token); }) : texts.empty);
	}
	function missing() {
		id('token-helper').hidden = true;
		id('token-retry').hidden = false;
		if (id('token-webeid').hidden) {
			say(texts.none);
			id('token-manual').open = true;
		}
	}
	function look() {
		if (!texts.helper)
			return missing();
		ask('/status', {}, 3000).then(found).catch(missing);
	}
	id('token-auto').hidden = false;
	id('token-manual').open = !!document.getElementById('error');      // what was pasted may have to be pasted again
	id('token-helper').addEventListener('click', sign);
	id('token-retry').addEventListener('click', look);
	look();
	return { id: id, say: say, busy: busy, failed: failed, send: send, nonce: texts.nonce, lang: texts.lang, waiting: texts.busy };
})();
