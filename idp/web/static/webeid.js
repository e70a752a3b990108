'use strict';
// Signs by the Web eID browser extension: messages of its public protocol (web-eid.js), in this window only.
(function (page) {
	var VERSION = '2.0.2', button = page.id('token-webeid'), asked = false;

	function tell(message) {
		message.libraryVersion = VERSION;
		window.postMessage(message, location.origin);
	}
	function succeeded(a) {
		page.send({ format: a.format, unverifiedCertificate: a.unverifiedCertificate, algorithm: a.algorithm, signature: a.signature, appVersion: a.appVersion });
	}
	function failed(a) {
		var code = a.error && a.error.code;
		page.failed(code === 'ERR_WEBEID_USER_CANCELLED' ? 'user_cancelled' : 'failed');
	}
	window.addEventListener('message', function (e) {
		if (e.source !== window || e.origin !== location.origin || !e.data)
			return;
		if (e.data.action === 'web-eid:status-success')
			button.hidden = false;
		else if (asked && e.data.action === 'web-eid:authenticate-success')
			succeeded(e.data);
		else if (asked && e.data.action === 'web-eid:authenticate-failure')
			failed(e.data);
	});
	button.addEventListener('click', function () {
		asked = true;
		page.busy(true);
		page.say(page.waiting);
		tell({ action: 'web-eid:authenticate', challengeNonce: page.nonce, options: { lang: page.lang } });
	});
	// The extension's content script may arrive after this one.
	[0, 500, 1500].forEach(function (ms) { setTimeout(function () { tell({ action: 'web-eid:status' }); }, ms); });
})(tokenPage);
