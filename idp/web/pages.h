#pragma once
#include "http.h"

/* The pages, and the members that each takes. page(rq, rs, status, &TPL_name, data) of http.h fills them.
 *
 * A member that is absent, null, false, 0, "" or [] is left out. Everything is escaped; addresses (href, src, action) must be
 * https://, http:// or a path of ours, else "#" is written. Images are data:image/(png|jpeg|webp|svg+xml);base64 or a path of ours, for
 * nothing is loaded from elsewhere, but the application's logo from its own site (res.images). The compiler refuses a template that uses a member which is not spoken of here.
 *
 * page() itself gives every page: lang, provider (the configured name, unless data has one), host (to be compared with the address bar),
 * ref (the request's id, unless data has one), to_vi or to_en (for the language link), digits (the figures of code).
 *
 * In every page of a sign-in:
 *   client     {name, logo, uri, policy, tos}  the application that asked; may be absent
 *   action     where the page's form goes (POST)
 *   csrf, i    hidden fields: form_token, and the interaction (may be absent)
 *   cancel     where "return to the service" goes (POST with csrf and i): access_denied; absent: no such button
 *   other      where "another method" goes (POST with csrf and i); absent: no such button
 *   here       the page's own address for GET, when that is not what was asked: keeps the language link alive
 *   error      key of what went wrong, shown first: the words error_KEY (idp/web/words.vi), or error_other
 *   ref        the incident's number, shown with the error
 */

/* methods [{id: "sim"|"token"|"tls", last: true for the one used last}]  the form answers method=ID
 * session {name}                        somebody is signed in: the form answers method=session ("continue as") */
extern const struct template TPL_choose;

/* phone, number                         values to keep
 * phone_error, number_error             words field_KEY: "empty", "phone", "number", "other"
 * The form answers phone and number. */
extern const struct template TPL_sim;

/* code "4821", phone_hint "••• ••• 001" (no-break spaces)  shown before the phone is asked; the form asks it */
extern const struct template TPL_sim_code;

/* code, phone_hint, seconds_left, here   without script the page reloads itself every 5 seconds and has a button (GET here with i)
 * poll       address that answers {"state":"pending"|"done","seconds_left":n}; on "done" the script opens here */
extern const struct template TPL_sim_wait;

/* state: refused wrong_pin blocked timed_out unreachable revoked busy operator_down not_person untrusted status_unknown
 * again      where "try again" goes (POST with csrf and i); absent where it cannot help (blocked, revoked) */
extern const struct template TPL_sim_end;

/* nonce, origin                         what is signed
 * helper     "http://127.0.0.1:28990", of the program on the person's computer; set rs->connect to its origin as well
 * tls_url    the host that asks for a certificate; may be absent
 * The form answers token (JSON). */
extern const struct template TPL_token;

/* again      address to try once more (GET); other, cancel as everywhere */
extern const struct template TPL_tls_missing;

/* user_code  what was typed, to be kept
 * user_code_error                       words field_KEY: "empty", "user_code", "other"
 * The form answers user_code. */
extern const struct template TPL_device;

/* state: granted denied gone            the device's own screen goes on from here */
extern const struct template TPL_device_end;

/* person     the name as certified
 * user_code  "BCDF-GHJK" of the device that waits; absent when no device does
 * scopes [{id, text, values ["…"]}]     text: as the application registered it; without it the words scope_ID, or scope_other
 * The form answers decision=allow|deny. */
extern const struct template TPL_consent;

/* person, method ("sim"|"token"|"tls"), level ("high"|"substantial"|"low"|"other"), since "24/11/2026 09:12"
 * apps [{name, uri, since}]             signed in to during this session
 * logout     where the sign-out form goes (POST with csrf) */
extern const struct template TPL_account;

/* services [{name}]                     signed in to during this session
 * client     who asked; the form answers decision=logout|stay */
extern const struct template TPL_logout_confirm;

/* services [{name}]                     signed in to during the session that ended: each may keep one of its own
 * continue   address to go on to, of client when it is known
 * frames [{uri, name}]                  applications that sign out by being loaded; rs->frames needs their origins */
extern const struct template TPL_logged_out;

/* services [{name}], frames [{uri, name}]    as in logged_out; rs->frames needs the origins of the frames
 * next       once they are loaded, or after a few seconds, the browser goes on to /logout/done?i=NEXT */
extern const struct template TPL_signing_out;

/* to, fields [{name, value}]            sends itself by script; a button without. rs->form_action needs to's origin */
extern const struct template TPL_form_post;

/* fault: a code of errors.def           words fault_title_CODE, fault_text_CODE, fault_next_CODE
 * back {url, name}                      where to go on, when known */
extern const struct template TPL_error;
extern const struct template TPL_notfound;

/* account    address of the person's own page (GET); absent: no button */
extern const struct template TPL_home;

/* GET /static/..., /favicon.ico, /lang?to=en&back=/path */
extern const struct route WEB_ROUTES[];

/* A path of ours that a browser cannot be talked into reading as another site's: else "/". */
struct str path_safe(struct str path);

/* The address of a static file: "/static/style.0a1b2c3d.css"; "" when there is none of that name. */
struct str static_url(const char *name);
