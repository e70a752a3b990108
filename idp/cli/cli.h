#pragma once
#include "house.h"

/* `motid <noun> <verb>`: everything but `serve`, which main.c keeps. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found,
 * 4 exists already or was changed meanwhile, 5 denied, 6 the store does not answer. */
int cli_main(int argc, char **argv);

/* The file named by --config, else by $MOTID_CONFIG, else ./motid.conf, else /etc/motid/motid.conf. */
const char *cli_config(int argc, char **argv);

/* Settings, secrets and the store: no engine, no network. Implemented in idp/main.c. */
err house_open_tools(struct arena *a, const char *config, struct house **out);
void house_close_tools(struct house *);
