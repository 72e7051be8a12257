/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * For scripts which measure by themselves: how calm the machine is, see tools/calm.h.
 *
 * usage: calm CPU...    For each line which comes, "calm" or "disturbed".
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>

#include "tools/calm.h"

int main(int argc, char **argv)
{
	char line[80];
	struct calm calm;
	cpu_set_t home, cpus;
	int i;

	CPU_ZERO(&cpus);
	for (i = 1; i < argc; i++) {
		size_t cpu = strtoul(argv[i], NULL, 10);

		if (cpu < CPU_SETSIZE)
			CPU_SET(cpu, &cpus);
	}
	if (!CPU_COUNT(&cpus) || sched_getaffinity(0, sizeof(home), &home))
		return 2;
	calm_init(&calm, &home, &cpus);
	while (fgets(line, sizeof(line), stdin)) {
		puts(calm_now(&calm) > CALM_LIMIT ? "disturbed" : "calm");
		fflush(stdout);
	}
	return 0;
}
