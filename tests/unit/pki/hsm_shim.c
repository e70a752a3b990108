#include <dlfcn.h>
#include <p11-kit/pkcs11.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>
#include "hsm_shim.h"

/* A PKCS#11 module over a real one ($HSM_SHIM_MODULE, SoftHSM), which can do what SoftHSM cannot: lock its PIN, hang, be unplugged while it signs. */

atomic_int shim_mode, shim_logins, shim_inside;
CK_FUNCTION_LIST *shim_real;

static CK_FUNCTION_LIST ours;

static CK_RV log_in(CK_SESSION_HANDLE s, CK_USER_TYPE who, CK_UTF8CHAR *pin, CK_ULONG n)
{
	atomic_fetch_add(&shim_logins, 1);
	return atomic_load(&shim_mode) == SHIM_LOCKED ? CKR_PIN_LOCKED : shim_real->C_Login(s, who, pin, n);
}

/* SoftHSM 2.6 never frees the name of the curve of an EdDSA key. */
static void watch_leaks(const char *function)
{
	void (*f)(void) = NULL;
	*(void **)&f = dlsym(RTLD_DEFAULT, function);
	if (f)
		f();
}

#define LEAKS(call) do { watch_leaks("__lsan_disable"); CK_RV rv_ = (call); watch_leaks("__lsan_enable"); return rv_; } while (0)

static CK_RV sign(CK_SESSION_HANDLE s, CK_BYTE *data, CK_ULONG n, CK_BYTE *sig, CK_ULONG *nsig)
{
	atomic_fetch_add(&shim_inside, 1);
	while (atomic_load(&shim_mode) == SHIM_HANGS)
		usleep(1000);
	atomic_fetch_sub(&shim_inside, 1);
	if (atomic_load(&shim_mode) == SHIM_UNPLUGGED)
		return CKR_DEVICE_REMOVED;
	LEAKS(shim_real->C_Sign(s, data, n, sig, nsig));
}

static CK_RV slots(CK_BBOOL with_token, CK_SLOT_ID *list, CK_ULONG *n)
{
	if (atomic_load(&shim_mode) != SHIM_UNPLUGGED)
		return shim_real->C_GetSlotList(with_token, list, n);
	*n = 0;
	return CKR_OK;
}

static CK_RV sign_init(CK_SESSION_HANDLE s, CK_MECHANISM *how, CK_OBJECT_HANDLE key) { LEAKS(shim_real->C_SignInit(s, how, key)); }

static CK_RV generate(CK_SESSION_HANDLE s, CK_MECHANISM *how, CK_ATTRIBUTE *pub, CK_ULONG npub, CK_ATTRIBUTE *priv, CK_ULONG npriv, CK_OBJECT_HANDLE *o1, CK_OBJECT_HANDLE *o2)
{
	LEAKS(shim_real->C_GenerateKeyPair(s, how, pub, npub, priv, npriv, o1, o2));
}

CK_RV C_GetFunctionList(CK_FUNCTION_LIST **out)
{
	const char *path = getenv("HSM_SHIM_MODULE");
	void *library = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
	CK_C_GetFunctionList list = NULL;
	if (library)
		*(void **)&list = dlsym(library, "C_GetFunctionList");
	if (!list || list(&shim_real) != CKR_OK)
		return CKR_GENERAL_ERROR;
	ours = *shim_real;
	ours.C_Login = log_in;
	ours.C_SignInit = sign_init;
	ours.C_Sign = sign;
	ours.C_GenerateKeyPair = generate;
	ours.C_GetSlotList = slots;
	*out = &ours;
	return CKR_OK;
}
