/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How long a back-end takes until it can be connected to.
 *
 * usage: ready TIMES COMMAND...    {} in the command is the socket.  Milliseconds, a line each.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/load.h"
#include "tools/spawn.h"
#include "util.h"

#define READY_MS 30000

/* One start; nanoseconds, or -errno. */
static int64_t ready_once(char *const *argv, const cpu_set_t *cpus)
{
	static struct load l;
	uint64_t start = load_clock(), end;
	struct spawn s;
	int err = spawn_start(&s, argv, cpus);

	if (err)
		return err;
	do {
		err = load_connect(&l, s.socket, 0);
		end = load_clock();
	} while (err && end - start < READY_MS * UINT64_C(1000000));
	if (!err)
		fe_close(&l.fe);
	spawn_stop(&s);
	return err ? err : (int64_t)(end - start);
}

int main(int argc, char **argv)
{
	cpu_set_t cpus;
	int64_t ns;
	int i;

	if (argc < 3 || !spawn_has_socket(argv + 2) || sched_getaffinity(0, sizeof(cpus), &cpus))
		return 2;
	for (i = atoi(argv[1]); i > 0; i--) {
		ns = ready_once(argv + 2, &cpus);
		if (ns < 0) {
			fprintf(stderr, "ready: %s: %s\n", argv[2], strerror((int)-ns));
			return 1;
		}
		printf("%.3f\n", (double)ns / 1e6);
	}
	return 0;
}
