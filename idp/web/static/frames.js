'use strict';
// On, once every frame has been loaded; at the latest after a few seconds.
(function () {
	var gone = false;
	function on() {
		if (gone)
			return;
		gone = true;
		location.replace(document.getElementById('next').href);
	}
	addEventListener('load', on);
	setTimeout(on, 5000);
})();
