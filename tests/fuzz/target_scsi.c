/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fuzz target: commands to a SCSI unit, over an image in memory.
 *
 * The input chooses the unit and then commands: CDB, room, data.  All buffers are allocated by
 * themselves, so that the address sanitizer sees each access beyond one of them.
 */
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "libvhost.h"
#include "scsi/scsi.h"
#include "tests/fuzz/input.h"
#include "tests/stepped.h"

#define IMAGE		(UINT64_C(256) << 10)	/* bytes */
#define COMMANDS	64u			/* of an input */
#define ROOM_MAX	8192u

struct shot {
	struct scsi_cmd cmd;
	struct iovec out[2], in[2];
	uint8_t *data_out, *data_in;
	bool ended;
};

struct unit {
	struct event_base *base;
	struct vhost_worker *worker;
	struct storage *st;
	struct scsi_target *target;
	struct scsi_nexus *nexus;
	int fd;
};

static void unit_event(void *arg, const struct scsi_address *address, uint32_t event,
		       uint32_t reason)
{
	(void)arg, (void)address, (void)event, (void)reason;
}

static void unit_open(struct unit *u, uint8_t how)
{
	static const struct scsi_target_ops ops = { .event = unit_event };
	struct storage_params sp = { .read_only = how & 4, .threads = 1,
				     .engine = STORAGE_ENGINE_THREADS };
	struct scsi_lun_params lp = { .cdrom = how & 1, .block_size = how & 2 ? 4096 : 0 };
	char path[64], why[200];

	u->fd = memfd_create("image", MFD_CLOEXEC);
	stepped_check(u->fd >= 0 && !ftruncate(u->fd, IMAGE));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", u->fd);
	sp.path = path;
	stepped_check(!storage_open(&u->st, &sp, why, sizeof(why)));
	lp.storage = u->st;
	u->base = event_base_new();
	stepped_check(u->base && !vhost_worker_new(&u->worker, u->base));
	stepped_check(!scsi_target_new(&u->target, u->worker, &ops, NULL));
	stepped_check(!scsi_lun_add(u->target, &lp, why, sizeof(why)));
	stepped_check(!scsi_nexus_open(u->target, u->worker, &u->nexus));
}

static void unit_close(struct unit *u)
{
	scsi_nexus_close(u->nexus);
	scsi_target_free(u->target);
	vhost_worker_free(u->worker);
	event_base_free(u->base);
	storage_close(u->st);
	close(u->fd);
}

static void shot_done(struct scsi_cmd *cmd)
{
	struct shot *shot = container_of(cmd, struct shot, cmd);

	stepped_check(!shot->ended);
	stepped_check(cmd->transferred <= MAX(cmd->in_len, cmd->out_len));
	stepped_check(cmd->sense_len <= SCSI_SENSE_MAX);
	shot->ended = true;
}

static void *shot_buf(size_t len)
{
	void *p = calloc(1, MAX(len, 1u));

	stepped_check(p);
	return p;
}

static unsigned int shot_iov(struct iovec iov[2], uint8_t *buf, size_t len, uint8_t cut)
{
	const size_t first = MIN((size_t)cut * 3, len);

	iov[0] = (struct iovec){ buf, first };
	iov[1] = (struct iovec){ buf + first, len - first };
	return 2;
}

/* A CDB of the length which the input says, lengths of the buffers, data. */
static void shot_fire(struct unit *u, struct shot *shot, struct input *in)
{
	const uint8_t how = input_u8(in), cut = input_u8(in);
	struct scsi_cmd *cmd = &shot->cmd;

	memset(shot, 0, sizeof(*shot));
	input_bytes(in, cmd->cdb, 6u + (how & 3) * 4);
	cmd->initiator = how >> 2 & 1;
	cmd->attr = how & 8 ? (enum scsi_attr)(how >> 4 & 3) : SCSI_SIMPLE;
	cmd->address.report_luns = (how & 0xc8) == 0xc0;
	cmd->address.lun = (how & 0xc8) == 0x80;
	cmd->in_len = input_u16(in) % ROOM_MAX;
	cmd->out_len = input_u16(in) % ROOM_MAX;
	shot->data_out = shot_buf(cmd->out_len);
	shot->data_in = shot_buf(cmd->in_len);
	input_bytes(in, shot->data_out, MIN(cmd->out_len, 64u));
	cmd->out_cnt = shot_iov(shot->out, shot->data_out, cmd->out_len, cut);
	cmd->in_cnt = shot_iov(shot->in, shot->data_in, cmd->in_len, cut);
	cmd->out = shot->out;
	cmd->in = shot->in;
	cmd->done = shot_done;
	scsi_submit(u->nexus, cmd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct shot *shots = calloc(COMMANDS, sizeof(*shots));
	unsigned int i, n = 0;
	struct unit u;

	stepped_check(shots);
	unit_open(&u, input_u8(&in));
	while (in.left && n < COMMANDS)
		shot_fire(&u, &shots[n++], &in);
	scsi_commit(u.nexus);
	for (i = 0; i < n; i++) {
		while (!shots[i].ended)
			event_base_loop(u.base, EVLOOP_ONCE);
	}
	for (i = 0; i < n; i++) {
		free(shots[i].data_out);
		free(shots[i].data_in);
	}
	unit_close(&u);
	free(shots);
	return 0;
}
