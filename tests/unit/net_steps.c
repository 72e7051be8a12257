/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packets through a device whose port leads nowhere, for counting instructions: those of a packet
 * are executed within stepped_run().
 *
 *   net_steps tx|rx split|packed SIZE PACKETS	prints how many there were
 *   net_steps optimized			whether it makes sense to count
 */
#include <linux/virtio_config.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "steps.h"
#include "util.h"

/* Half a ring at a time, as a busy driver has it. */
#define BATCH	(STEPS_RING / 2)

static int net_steps(bool tx, bool packed, unsigned int size, unsigned long packets)
{
	const struct port_params params = { .pairs = 1, .packet_size = tx ? 0 : size };
	struct steps s = { 0 };
	unsigned long n;
	char why[64];

	stepped_check(!port_null.open(&s.port, &params, why, sizeof(why)));
	steps_open(&s, packed ? FE_BIT(VIRTIO_F_RING_PACKED) : 0, FE_RING_POLL);
	for (n = 0; n < packets; n += BATCH) {
		steps_add(&s, tx, BATCH, tx ? STEPS_HDR + size : STEPS_BUFFER);
		stepped_run(&s.s);
		stepped_check(steps_get(&s, tx, tx ? 0 : STEPS_HDR + size) == BATCH);
	}
	steps_close(&s);
	printf("%lu\n", n);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "optimized"))
		return !stepped_is_optimized();
	if (argc != 5)
		return 2;
	return net_steps(!strcmp(argv[1], "tx"), !strcmp(argv[2], "packed"),
			 (unsigned int)atoi(argv[3]), strtoul(argv[4], NULL, 10));
}
