/* SPDX-License-Identifier: BSD-3-Clause */
/* A guest's packets to and from the tap of a back-end. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "tests/bench/bench_tap.h"
#include "tools/tool.h"
#include "util.h"

#define GUEST_LOST_NS	100000000u	/* what has not come by then is lost */

static void guest_check(const struct tap_target *t, int err)
{
	if (!err)
		return;
	tool_err("%s: %s", t->name, load_why(&t->load));
	exit(TOOL_BROKEN);
}

void tap_guest_open(struct tap_target *t, const char *socket)
{
	struct load_params params = t->bench->params;

	params.packet = t->wire.head;
	params.packet_len = sizeof(t->wire.head);
	guest_check(t, load_connect(&t->load, socket, 0));
	guest_check(t, load_open(&t->load, &load_net, &params));
	guest_check(t, load_start(&t->load));
}

void tap_guest_close(struct tap_target *t)
{
	guest_check(t, load_stop(&t->load));
	load_close(&t->load);
}

/* Buffers stay in the ring from one turn to the next. */
void tap_guest_begin(struct tap_target *t)
{
	if (t->bench->params.dir == LOAD_RX || !t->bench->pace_us)
		guest_check(t, load_begin(&t->load, UINT64_MAX));
	load_reset(&t->load);
}

void tap_guest_end(struct tap_target *t)
{
	guest_check(t, load_drain(&t->load));
}

/* What counts is what the interface has got. */
static uint64_t guest_send(struct tap_target *t, uint64_t until)
{
	uint64_t before = wire_received(&t->wire);

	guest_check(t, load_drive(&t->load, until));
	return wire_received(&t->wire) - before;
}

/* How many of n packets have come; some back-ends lose some. */
static uint64_t guest_receive(struct tap_target *t, uint64_t n)
{
	struct load *l = &t->load;
	uint64_t left, since;

	guest_check(t, load_begin(l, n));
	do {
		left = l->left;
		since = l->now;
		guest_check(t, load_drive(l, l->now + GUEST_LOST_NS));
	} while (l->left && (l->left < left || left == n));
	/* What was waited for in vain does not count. */
	if (l->left)
		t->idle_ns += load_clock() - since;
	return n - l->left;
}

static uint64_t guest_receive_bursts(struct tap_target *t, uint64_t until)
{
	const unsigned int burst = tap_burst(t);
	uint64_t n = 0;

	while (tap_time(t) < until) {
		tap_prepare(t, burst);
		n += guest_receive(t, burst);
	}
	return n;
}

/* One packet, and a pause, which does not count, so that the rate tells the time of a packet. */
static uint64_t guest_pace(struct tap_target *t, uint64_t until)
{
	const struct timespec pause = { .tv_nsec = t->bench->pace_us * 1000l };
	uint64_t n = 0, paused = 0, start;

	for (; tap_time(t) < until; n++) {
		start = load_clock();
		nanosleep(&pause, NULL);
		if (t->bench->params.dir == LOAD_RX)
			tap_check(t, "filling the tap", wire_fill(&t->wire, 1));
		guest_check(t, load_begin(&t->load, 1));
		paused += load_clock() - start;
		guest_check(t, load_drive(&t->load, UINT64_MAX));
	}
	t->idle_ns += paused;
	return n;
}

uint64_t tap_guest_drive(struct tap_target *t, uint64_t until)
{
	if (t->bench->pace_us)
		return guest_pace(t, until);
	return t->bench->params.dir == LOAD_TX ? guest_send(t, until) :
						 guest_receive_bursts(t, until);
}
