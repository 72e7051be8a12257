/* SPDX-License-Identifier: BSD-3-Clause */
/* One unit on an image in memory, and tables of commands to it. */
#include "scsi_fixture.h"

#include <linux/virtio_config.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SF_DEADLINE_S	30
#define SF_GPA		0x100000u
#define SF_MEMORY	(3 * (size_t)SF_BUF)
#define SF_DESCRIPTORS	200u		/* of a request */

/*
 * Text
 */

size_t sf_parse(const char *text, uint8_t *buf, bool *any)
{
	unsigned long value, times, i;
	size_t n = 0;
	char *end;

	for (;;) {
		text += strspn(text, " ");
		if (!*text)
			return n;
		value = 0;
		end = (char *)text + 2;
		if (*text != '.')
			value = strtoul(text, &end, 16);
		ck_assert_msg(end > text && value < 256, "bad text: %s", text);
		times = *end == '*' ? strtoul(end + 1, &end, 10) : 1;
		for (i = 0; i < times; i++, n++) {
			ck_assert_uint_lt(n, SF_BUF);
			buf[n] = (uint8_t)value;
			if (any)
				any[n] = *text == '.';
		}
		text = end;
	}
}

/*
 * Commands
 */

static void sf_late(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
	ck_abort_msg("nothing has happened for %d seconds", SF_DEADLINE_S);
}

static void sf_step(struct sf *sf)
{
	const struct timeval deadline = { SF_DEADLINE_S, 0 };
	struct event *late = evtimer_new(sf->base, sf_late, NULL);

	evtimer_add(late, &deadline);
	event_base_loop(sf->base, EVLOOP_ONCE);
	event_free(late);
}

/* cmd->tag counts the ends. */
static void sf_done(struct scsi_cmd *cmd)
{
	cmd->tag++;
}

bool sf_ended(const struct scsi_cmd *cmd)
{
	ck_assert_uint_le(cmd->tag, 1);
	return cmd->tag == 1;
}

void sf_cmd(const struct sf *sf, struct scsi_cmd *cmd, const char *cdb)
{
	uint8_t buf[64] = { 0 };

	/* Whoever relies on what it has not set itself shall see it. */
	memset(cmd, 0xa5, sizeof(*cmd));
	cmd->address = sf->address;
	cmd->tag = 0;
	cmd->attr = SCSI_SIMPLE;
	cmd->initiator = sf->initiator;
	sf_parse(cdb, buf, NULL);
	memcpy(cmd->cdb, buf, sizeof(cmd->cdb));
	cmd->out = cmd->in = NULL;
	cmd->out_cnt = cmd->in_cnt = 0;
	cmd->out_len = cmd->in_len = 0;
	cmd->done = sf_done;
}

void sf_start(struct sf *sf, struct scsi_cmd *cmd)
{
	scsi_submit(sf->nexus, cmd);
	scsi_commit(sf->nexus);
}

void sf_wait(struct sf *sf, struct scsi_cmd *cmd)
{
	while (!sf_ended(cmd))
		sf_step(sf);
}

/* Sense data in either format. */
static uint32_t sf_sense(const struct scsi_cmd *cmd)
{
	const uint8_t *s = cmd->sense;

	ck_assert_uint_ge(cmd->sense_len, 8);
	if (s[0] == 0x72)
		return (uint32_t)(s[1] << 16 | s[2] << 8 | s[3]);
	ck_assert_uint_eq(s[0] & 0x7f, 0x70);
	ck_assert_uint_eq(cmd->sense_len, 8u + s[7]);
	return (uint32_t)((s[2] & 0xf) << 16 | s[12] << 8 | s[13]);
}

uint32_t sf_end(const struct scsi_cmd *cmd)
{
	if (cmd->outcome == SCSI_OVERRUN)
		return SF_OVERRUN;
	if (cmd->outcome == SCSI_NO_TARGET)
		return SF_NO_TARGET;
	ck_assert_int_eq(cmd->outcome, SCSI_DONE);
	switch (cmd->status) {
	case SCSI_GOOD:
		return SF_GOOD;
	case SCSI_CONDITION_MET:
		return SF_MET;
	case SCSI_RESERVATION_CONFLICT:
		return SF_CONFLICT;
	case SCSI_CHECK_CONDITION:
		return sf_sense(cmd);
	default:
		ck_abort_msg("status %02x", cmd->status);
	}
}

/* Where sense data of the fixed format says the bad field is. */
static unsigned int sf_field(const struct scsi_cmd *cmd)
{
	const uint8_t *sks = &cmd->sense[15];

	if (cmd->status != SCSI_CHECK_CONDITION || cmd->sense[0] != 0x70 || !(sks[0] & 0x80))
		return 0;
	return (sks[0] & 0x40 ? 0x10000u : 0x20000u) | (unsigned int)(sks[1] << 8 | sks[2]);
}

static void sf_check_in(const struct sf *sf, const struct sf_case *c)
{
	static uint8_t want[SF_BUF];
	static bool any[SF_BUF];
	size_t n = sf_parse(c->in, want, any), i;

	ck_assert_msg(n <= c->transferred, "%s: %zu bytes expected", c->what, n);
	for (i = 0; i < n; i++)
		ck_assert_msg(any[i] || sf->in[i] == want[i], "%s: byte %zu is %02x, not %02x",
			      c->what, i, sf->in[i], want[i]);
}

/* Nothing behind what was transferred has been touched. */
static void sf_check_rest(const struct sf *sf, const struct sf_case *c)
{
	size_t i;

	for (i = c->end == SF_GOOD ? c->transferred : c->room; i < c->room + 64; i++)
		ck_assert_msg(sf->in[i] == 0x5a, "%s: byte %zu was written", c->what, i);
}

/* A vector of odd parts. */
static unsigned int sf_split(struct iovec iov[4], uint8_t *buf, size_t len)
{
	static const size_t parts[3] = { 1, 30, 481 };
	unsigned int n = 0;
	size_t off = 0;

	while (n < 3 && off + parts[n] < len) {
		iov[n] = (struct iovec){ buf + off, parts[n] };
		off += parts[n++];
	}
	if (off < len)
		iov[n++] = (struct iovec){ buf + off, len - off };
	return n;
}

/* Straight to the unit. */
static void sf_run_direct(struct sf *sf, struct scsi_cmd *cmd)
{
	struct iovec out[4], in[4];

	cmd->out_cnt = sf_split(out, sf->out, cmd->out_len);
	cmd->out = out;
	cmd->in_cnt = sf_split(in, sf->in, cmd->in_len);
	cmd->in = in;
	sf_start(sf, cmd);
	sf_wait(sf, cmd);
}

/* What the device has answered, as the command would have it. */
static void sf_take_answer(struct sf *sf, struct scsi_cmd *cmd, const struct fe_scsi_req *req)
{
	static const enum scsi_outcome outcomes[] = {
		[VIRTIO_SCSI_S_OK] = SCSI_DONE, [VIRTIO_SCSI_S_OVERRUN] = SCSI_OVERRUN,
		[VIRTIO_SCSI_S_ABORTED] = SCSI_ABORTED, [VIRTIO_SCSI_S_BAD_TARGET] = SCSI_NO_TARGET,
		[VIRTIO_SCSI_S_RESET] = SCSI_RESET,
	};
	const struct fe_scsi_resp resp = fe_scsi_resp(req);
	const uint32_t all = sizeof(struct virtio_scsi_cmd_resp);

	ck_assert_uint_lt(resp.response, ARRAY_SIZE(outcomes));
	ck_assert_uint_le(resp.sense_len, sizeof(cmd->sense));
	ck_assert_uint_le(resp.residual, req->out_len + req->in_len);
	cmd->outcome = outcomes[resp.response];
	cmd->status = (enum scsi_status)resp.status;
	cmd->transferred = req->out_len + req->in_len - resp.residual;
	cmd->sense_len = resp.sense_len;
	memcpy(cmd->sense, resp.sense, resp.sense_len);
	memcpy(sf->in, fe_scsi_in(req), cmd->in_len + 64);
	ck_assert_uint_eq(req->used_len, all + (cmd->out_len ? 0 : cmd->transferred));
}

/* By a request on the virtqueue, in odd pieces unless that makes too many. */
static void sf_run_queued(struct sf *sf, struct scsi_cmd *cmd)
{
	struct fe_scsi_req *req = fe_scsi_get(&sf->fs), *back;

	fe_scsi_lun(req->lun, cmd->address.target, cmd->address.lun);
	if (cmd->address.report_luns)
		memcpy(&req->lun[2], "\xc1\x01", 2);
	memcpy(req->cdb, cmd->cdb, sizeof(cmd->cdb));
	req->out_len = (uint32_t)cmd->out_len;
	req->in_len = (uint32_t)cmd->in_len;
	req->cut = cmd->out_len + cmd->in_len < 90 * 481u ? 481 : 0;
	memcpy(fe_scsi_out(req), sf->out, cmd->out_len);
	memset(fe_scsi_in(req), 0x5a, cmd->in_len + 64);
	ck_assert_int_eq(fe_scsi_submit(req), 0);
	while (!fe_ring_ready(&sf->ring))
		sf_step(sf);
	ck_assert_int_eq(fe_scsi_reap(&sf->fs, &back, 0), 0);
	ck_assert_ptr_eq(back, req);
	sf_take_answer(sf, cmd, req);
	fe_scsi_put(req);
}

void sf_run(struct sf *sf, const struct sf_case *c)
{
	struct scsi_cmd cmd;

	sf->initiator = c->initiator;
	sf_cmd(sf, &cmd, c->cdb);
	if (c->out)
		cmd.out_len = sf_parse(c->out, sf->out, NULL);
	cmd.in_len = c->room;
	memset(sf->in, 0x5a, c->room + 64);
	if (c->initiator)
		sf_run_direct(sf, &cmd);
	else
		sf_run_queued(sf, &cmd);
	ck_assert_msg(sf_end(&cmd) == c->end, "%s: ended with %06x, not %06x", c->what,
		      sf_end(&cmd), c->end);
	ck_assert_msg(cmd.transferred == c->transferred, "%s: transferred %zu, not %zu", c->what,
		      cmd.transferred, c->transferred);
	ck_assert_msg(!c->field || sf_field(&cmd) == c->field, "%s: field %05x, not %05x", c->what,
		      sf_field(&cmd), c->field);
	ck_assert_msg(cmd.status == SCSI_CHECK_CONDITION || !cmd.sense_len, "%s: sense data",
		      c->what);
	if (c->in)
		sf_check_in(sf, c);
	sf_check_rest(sf, c);
}

void sf_run_all(struct sf *sf, const struct sf_case *cases, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		sf_run(sf, &cases[i]);
}

/*
 * The unit
 */

static void sf_open_storage(struct sf *sf, const struct sf_params *params)
{
	char path[64], why[200] = "";
	struct storage_params sp = {
		.path = path, .read_only = params->read_only, .block_size = 512,
		.cache = params->write_through ? STORAGE_CACHE_WRITETHROUGH : 0,
		.fault = params->fault,
		.align = params->later ? 4096 : 0,
	};
	int err;

	sf->size = params->size ? params->size : 512 * 1024;
	sf->fd = memfd_create("image", MFD_CLOEXEC);
	ck_assert_int_ge(sf->fd, 0);
	ck_assert_int_eq(ftruncate(sf->fd, (off_t)sf->size), 0);
	sf->image = mmap(NULL, sf->size, PROT_READ | PROT_WRITE, MAP_SHARED, sf->fd, 0);
	ck_assert_ptr_ne(sf->image, MAP_FAILED);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", sf->fd);
	err = storage_open(&sf->st, &sp, why, sizeof(why));
	ck_assert_msg(!err, "%s", why);
}

static void sf_add(struct sf *sf, const struct sf_params *params, uint16_t lun)
{
	const struct scsi_lun_params lp = {
		.address = { .target = 3, .lun = lun }, .storage = sf->st, .serial = "S1234",
		.cdrom = params->cdrom, .block_size = params->block_size,
		.reservations = params->reservations,
	};
	char why[200] = "";
	int err;

	err = scsi_lun_add(sf->target, &lp, why, sizeof(why));
	ck_assert_msg(!err, "%s", why);
}

/* Whether the nexus has the unit already. */
static bool sf_has_lun(struct sf *sf, uint16_t lun)
{
	struct iovec iov = { sf->in, 36 };
	struct scsi_cmd cmd;

	sf_cmd(sf, &cmd, "12 00 00 00 24");
	cmd.address.lun = lun;
	cmd.in = &iov;
	cmd.in_cnt = 1;
	cmd.in_len = iov.iov_len;
	sf_start(sf, &cmd);
	sf_wait(sf, &cmd);
	return sf->in[0] != 0x7f;
}

void sf_add_lun(struct sf *sf, uint16_t lun)
{
	const struct sf_params params = { 0 };

	sf_add(sf, &params, lun);
	while (!sf_has_lun(sf, lun))
		sf_step(sf);
}

/* The driver: one request queue. */
static void sf_connect(struct sf *sf)
{
	const uint64_t features = FE_BIT(VIRTIO_F_VERSION_1) | FE_BIT(VU_F_PROTOCOL_FEATURES) |
				  FE_BIT(VIRTIO_RING_F_INDIRECT_DESC) | FE_BIT(VIRTIO_SCSI_F_INOUT);
	const struct fe_ring_params ring = {
		.index = FE_SCSI_REQUEST, .size = 256, .features = features,
		.indirect = SF_DESCRIPTORS,
	};

	stepped_connect(&sf->s);
	sf->s.fe.features = features;
	ck_assert_int_eq(fe_set_features(&sf->s.fe, features), 0);
	ck_assert_int_eq(fe_mem_init(&sf->mem, SF_GPA, SF_MEMORY), 0);
	ck_assert_int_eq(fe_ring_init(&sf->ring, &sf->mem, &ring), 0);
	ck_assert_int_eq(fe_scsi_init(&sf->fs, &sf->ring, 1, SF_BUF + 64), 0);
	ck_assert_int_eq(fe_start_mem(&sf->s.fe, &sf->mem), 0);
	ck_assert_int_eq(fe_start_ring(&sf->s.fe, &sf->ring), 0);
	ck_assert_int_eq(fe_set_vring_enable(&sf->s.fe, FE_SCSI_REQUEST, 1), 0);
	stepped_run(&sf->s);
}

void sf_open(struct sf *sf, const struct sf_params *params)
{
	const struct sf_case power_on = { .what = "power on", .cdb = "00", .end = 0x062901 };

	struct virtio_scsi_params vp = { .name = "unit", .queues = 1 };

	memset(sf, 0, sizeof(*sf));
	stepped_open(&sf->s);
	sf->base = sf->s.base;
	sf->worker = vp.control = sf->s.worker;
	sf->out = malloc(SF_BUF + 64);
	sf->in = malloc(SF_BUF + 64);
	sf_open_storage(sf, params);
	ck_assert_int_eq(virtio_scsi_new(&sf->scsi, &vp), 0);
	sf->target = virtio_scsi_target(sf->scsi);
	stepped_serve(&sf->s, virtio_scsi_dev(sf->scsi));
	sf->address.target = 3;
	sf_add(sf, params, 0);
	ck_assert_int_eq(scsi_nexus_open(sf->target, sf->worker, &sf->nexus), 0);
	sf_connect(sf);
	sf_run(sf, &power_on);
}

/* What the workers have to tell each other, at most so many times to and fro. */
#define SF_MAILS	8u

void sf_close(struct sf *sf)
{
	unsigned int i;

	stepped_halt(&sf->s);
	fe_scsi_free(&sf->fs);
	fe_ring_free(&sf->ring);
	fe_mem_free(&sf->mem);
	/* The last of what is on its way frees the target. */
	scsi_nexus_close(sf->nexus);
	virtio_scsi_free(sf->scsi);
	for (i = 0; i < SF_MAILS; i++)
		event_base_loop(sf->base, EVLOOP_NONBLOCK);
	storage_close(sf->st);
	stepped_close(&sf->s);
	munmap(sf->image, sf->size);
	close(sf->fd);
	free(sf->out);
	free(sf->in);
}

/*
 * The image
 */

void sf_fill(struct sf *sf)
{
	size_t i;

	for (i = 0; i < sf->size; i++)
		sf->image[i] = (uint8_t)(i / 512 + 1);
}

void sf_image_is(const struct sf *sf, size_t lba, size_t blocks, uint8_t byte)
{
	size_t i;

	for (i = lba * 512; i < (lba + blocks) * 512; i++)
		ck_assert_msg(sf->image[i] == byte, "byte %zu is %02x, not %02x", i, sf->image[i],
			      byte);
}
