#include "soap.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const unsigned char *p, size_t n);

/* An operator's answer, or whatever stands in its place. What is read is within its limits, and a fault carries nothing else. */
int LLVMFuzzerTestOneInput(const unsigned char *p, size_t n)
{
	for (enum soap_kind kind = SOAP_SIGNATURE; kind <= SOAP_REGISTRATION; kind++) {
		struct arena *a = arena_new();
		struct soap_answer s;
		if (!soap_read(a, (struct bytes){ p, n }, kind, &s).kind) {
			if (s.code.n > 4 || s.detail.n > 4 || s.mssp_trans.n > SOAP_NAME_MAX)
				abort();
			if (s.fault && (s.signature.n || s.certificate.n || s.msisdn.n || s.ap_trans.n))
				abort();
		}
		arena_free(a);
	}
	return 0;
}
