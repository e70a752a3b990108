#pragma once
#include "err.h"
#include "str.h"

/* People's names. One spelling is stored: NFC, without control or format characters, single spaces, none at the ends. */
enum { NAME_MOST = 200 };      /* bytes */
err name_nfc(struct arena *a, struct str typed, struct str *out);            /* INVALID_REQUEST with the reason */

/* What a name is looked up by: case-folded, without diacritics (Unicode class Mn), đ as d: "Nguyễn Thị Đào" is "nguyen thi dao".
 * Never shown, never compared for identity. */
struct str name_search_key(struct arena *a, struct str name);

/* A name as printable ASCII, for a SIM's small screen: "Cổng dịch vụ Đà Nẵng" is "Cong dich vu Da Nang"; other letters become "?". */
struct str name_plain(struct arena *a, struct str name);
