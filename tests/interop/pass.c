/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A driver for units which are passed-through devices, scsi_debug's, of the kernel it runs on:
 *
 *	pass SOCKET DEVICE
 *
 * Unit 0 is a disk of 8 MiB; unit 1 is a second one, with a timeout of 1 second, whose folder in
 * sysfs is DEVICE.  It runs as root in
 * a machine of its own, since it lets the devices fail and go.  Each result is a line "RESULT 0
 * name" or "RESULT 1 name", as guest.sh has them.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frontend/fe_scsi.h"

#define FEATURES (FE_BIT(VU_F_PROTOCOL_FEATURES) | FE_BIT(VIRTIO_F_VERSION_1) | \
		  FE_BIT(VIRTIO_RING_F_EVENT_IDX) | FE_BIT(VIRTIO_RING_F_INDIRECT_DESC) | \
		  FE_BIT(VIRTIO_SCSI_F_HOTPLUG))
#define PROTOCOL (FE_BIT(VU_PROTOCOL_F_MQ) | FE_BIT(VU_PROTOCOL_F_REPLY_ACK) | \
		  FE_BIT(VU_PROTOCOL_F_CONFIG))
#define DEPTH		48u
#define DATA_MAX	(256u << 10)
#define BLOCK		512u
#define LAST_LBA	16383u
#define BAD_LBA		0x1234u		/* scsi_debug's idea of a medium error */
#define DEBUG		"/sys/bus/pseudo/drivers/scsi_debug/"
#define NO_SENSE	0u
#define FUNCTION_COMPLETE 0		/* of a task management function */

/* Key << 16 | ASC << 8 | ASCQ */
#define SENSE_BAD_MEDIUM	0x031100u
#define SENSE_BAD_OPCODE	0x052000u
#define SENSE_BAD_LBA		0x052100u
#define SENSE_NO_UNIT		0x052500u
#define SENSE_POWER_ON		0x062901u
#define SENSE_UNIT_RESET	0x062903u
#define SENSE_TIMEOUT		0x0b2e02u

static struct fe fe;
static struct fe_mem mem;
static struct fe_ring rings[3], *list[3] = { &rings[0], &rings[1], &rings[2] };
static struct fe_scsi scsi;
static struct fe_scsi_ctrl ctrl;

/* Report; tells whether it is true. */
__attribute__((format(printf, 2, 3)))
static bool result(bool good, const char *fmt, ...)
{
	va_list ap;

	printf("RESULT %d ", !good);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
	return good;
}

static void must(bool good, const char *what)
{
	if (good)
		return;
	result(false, "%s", what);
	exit(1);
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	must(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text), path);
	close(fd);
}

/*
 * Commands
 */

/* A command as it is written: the CDB's bytes in hexadecimal. */
static struct fe_scsi_req *command(uint16_t lun, const char *cdb)
{
	struct fe_scsi_req *req = fe_scsi_get(&scsi);
	unsigned int i, byte;
	int n;

	must(req, "a request");
	fe_scsi_lun(req->lun, 0, lun);
	for (i = 0; sscanf(cdb, "%x%n", &byte, &n) == 1; cdb += n)
		req->cdb[i++] = (uint8_t)byte;
	req->tag = (uint64_t)(uintptr_t)req;
	return req;
}

/* READ (10) or WRITE (10) of n blocks, in pieces of cut bytes. */
static struct fe_scsi_req *transfer(uint16_t lun, bool write, uint32_t lba, uint16_t n, uint32_t cut)
{
	struct fe_scsi_req *req;
	char cdb[64];

	snprintf(cdb, sizeof(cdb), "%x 0 %x %x %x %x 0 %x %x 0", write ? 0x2a : 0x28, lba >> 24,
		 lba >> 16 & 0xff, lba >> 8 & 0xff, lba & 0xff, n >> 8, n & 0xff);
	req = command(lun, cdb);
	*(write ? &req->out_len : &req->in_len) = n * BLOCK;
	req->cut = cut;
	return req;
}

static uint32_t sense_of(const struct fe_scsi_resp *r)
{
	const uint8_t *s = r->sense;

	if (r->sense_len < 8)
		return NO_SENSE;
	/* scsi_debug answers in fixed format, as long as nobody sets D_SENSE. */
	return (s[2] & 0xfu) << 16 | (uint32_t)s[12] << 8 | s[13];
}

/* What came back is this: response, and sense or none. */
static bool check_end(const char *name, const struct fe_scsi_req *req, uint8_t response,
		      uint32_t sense)
{
	struct fe_scsi_resp r = fe_scsi_resp(req);
	bool good = r.response == response && r.status == (sense ? 2 : 0) && sense_of(&r) == sense;

	result(good, "%s", name);
	if (!good)
		printf("response %u, status %#x, sense %06x, residual %u\n", r.response, r.status,
		       sense_of(&r), r.residual);
	return good;
}

/* Submit, wait and look; the caller puts it back. */
static bool run(const char *name, struct fe_scsi_req *req, uint32_t sense)
{
	must(fe_scsi_run(req) == 0, name);
	return check_end(name, req, VIRTIO_SCSI_S_OK, sense);
}

/* Without data, or with data that nobody looks at. */
static void run_alone(const char *name, uint16_t lun, const char *cdb, uint32_t in_len,
		      uint32_t sense)
{
	struct fe_scsi_req *req = command(lun, cdb);

	req->in_len = in_len;
	run(name, req, sense);
	fe_scsi_put(req);
}

/*
 * What holds
 */

/* Until the unit has no attention any more, neither ours nor the device's. */
static void settle(uint16_t lun, const char *name)
{
	struct fe_scsi_req *req = command(lun, "0 0 0 0 0 0");
	unsigned int i = 0;

	do
		must(fe_scsi_run(req) == 0, "TEST UNIT READY");
	while (fe_scsi_resp(req).status && ++i < 8);
	check_end(name, req, VIRTIO_SCSI_S_OK, NO_SENSE);
	fe_scsi_put(req);
}

static void test_attention(uint16_t lun)
{
	run_alone("the first command gets POWER ON", lun, "0 0 0 0 0 0", 0, SENSE_POWER_ON);
	settle(lun, "then the unit is ready");
}

static void test_inquiry(void)
{
	struct fe_scsi_req *req = command(0, "12 0 0 0 ff 0");

	req->in_len = 255;
	if (run("INQUIRY", req, NO_SENSE)) {
		const uint8_t *in = fe_scsi_in(req);

		result(!memcmp(in + 8, "Linux   scsi_debug", 18), "it is the host's device");
		result(fe_scsi_resp(req).residual == 255u - (in[4] + 5u), "INQUIRY's residual");
	}
	fe_scsi_put(req);

	req = command(0, "a0 0 0 0 0 0 0 0 1 0 0 0");
	req->in_len = 256;
	if (run("REPORT LUNS", req, NO_SENSE))
		result(fe_scsi_in(req)[3] == 16 && fe_scsi_in(req)[9] == 0 && fe_scsi_in(req)[17] == 1,
		       "it has our units");
	fe_scsi_put(req);
	run_alone("READ CAPACITY (16)", 0, "9e 10 0 0 0 0 0 0 0 0 0 0 0 20 0 0", 32, NO_SENSE);
	run_alone("a command nobody knows", 0, "d0 0 0 0 0 0 0 0 0 0", 0, SENSE_BAD_OPCODE);
}

static void fill(uint8_t *data, size_t len, uint32_t seed)
{
	size_t i;

	for (i = 0; i < len; i++)
		data[i] = (uint8_t)(i * 7 + i / BLOCK + seed);
}

static bool is_filled(const uint8_t *data, size_t len, uint32_t seed)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (data[i] != (uint8_t)(i * 7 + i / BLOCK + seed))
			return false;
	return true;
}

static void test_data(void)
{
	static const struct { uint16_t blocks; uint32_t cut; } sizes[] = {
		{ 1, 0 }, { 1, 7 }, { 8, 512 }, { 128, 4096 }, { 128, 1000 }, { 512, 0 },
		{ 512, 4096 },
	};
	unsigned int i;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		const uint32_t len = sizes[i].blocks * BLOCK;
		struct fe_scsi_req *req = transfer(0, true, 100 * i, sizes[i].blocks, sizes[i].cut);

		fill(fe_scsi_out(req), len, i);
		if (!run("write", req, NO_SENSE))
			printf("%u blocks, cut %u\n", sizes[i].blocks, sizes[i].cut);
		fe_scsi_put(req);
		req = transfer(0, false, 100 * i, sizes[i].blocks, sizes[i].cut);
		run("read", req, NO_SENSE);
		result(is_filled(fe_scsi_in(req), len, i) && !fe_scsi_resp(req).residual,
		       "read what was written: %u blocks in pieces of %u", sizes[i].blocks,
		       sizes[i].cut);
		fe_scsi_put(req);
	}
}

static void test_errors(void)
{
	struct fe_scsi_req *req = transfer(0, false, LAST_LBA, 2, 0);

	run("read behind the end", req, SENSE_BAD_LBA);
	fe_scsi_put(req);
	req = transfer(0, false, LAST_LBA, 1, 0);
	run("read the last block", req, NO_SENSE);
	fe_scsi_put(req);
	write_file(DEBUG "opts", "2");
	req = transfer(0, false, BAD_LBA, 1, 0);
	run("a bad block", req, SENSE_BAD_MEDIUM);
	fe_scsi_put(req);
	write_file(DEBUG "opts", "0");
	req = transfer(0, false, BAD_LBA, 1, 0);
	run("and good again", req, NO_SENSE);
	fe_scsi_put(req);
}

/* More at once than the kernel queues: those which it does not take are to be sent again. */
static void test_many(void)
{
	unsigned int i, left = DEPTH, refused = 0;
	bool good = true;

	for (i = 0; i < DEPTH; i++) {
		struct fe_scsi_req *req = transfer(0, true, 8 * i, 8, 0);

		fill(fe_scsi_out(req), 8 * BLOCK, i);
		must(fe_scsi_add(req) == 0, "add a request");
	}
	fe_ring_submit(scsi.ring);
	while (left) {
		struct fe_scsi_req *req;
		struct fe_scsi_resp r;

		must(fe_scsi_reap(&scsi, &req, FE_TIMEOUT_MS) == 0, "an answer");
		r = fe_scsi_resp(req);
		if (r.response == VIRTIO_SCSI_S_OK && r.status == 0x28) {
			refused++;
			must(fe_scsi_submit(req) == 0, "send it again");
			continue;
		}
		good = good && r.response == VIRTIO_SCSI_S_OK && !r.status;
		fe_scsi_put(req);
		left--;
	}
	result(good, "%u writes at once", DEPTH);
	result(refused > 0, "some of them were more than the kernel queues");
	for (i = 0; i < DEPTH; i++) {
		struct fe_scsi_req *req = transfer(0, false, 8 * i, 8, 0);

		good = good && fe_scsi_run(req) == 0 && is_filled(fe_scsi_in(req), 8 * BLOCK, i);
		fe_scsi_put(req);
	}
	result(good, "each of them was done");
}

static void test_reset(void)
{
	uint8_t lun[8];

	fe_scsi_lun(lun, 0, 0);
	result(fe_scsi_tmf(&ctrl, VIRTIO_SCSI_T_TMF_LOGICAL_UNIT_RESET, lun, 0) ==
	       FUNCTION_COMPLETE, "LOGICAL UNIT RESET");
	run_alone("the unit says so", 0, "0 0 0 0 0 0", 0, SENSE_UNIT_RESET);
	run_alone("but once", 0, "0 0 0 0 0 0", 0, NO_SENSE);
}

/* The device does not answer. */
static void test_stuck(bool abort)
{
	struct fe_scsi_req *req = transfer(1, false, 0, 8, 0), *back;

	write_file(DEBUG "opts", "4");
	write_file(DEBUG "every_nth", "-1");
	must(fe_scsi_submit(req) == 0, "submit");
	if (abort) {
		must(fe_scsi_tmf_submit(&ctrl, VIRTIO_SCSI_T_TMF_ABORT_TASK, req->lun, req->tag) == 0,
		     "submit ABORT TASK");
		result(fe_scsi_tmf_reap(&ctrl, 6 * FE_TIMEOUT_MS) == FUNCTION_COMPLETE,
		       "ABORT TASK of a stuck command is answered");
	}
	must(fe_scsi_reap(&scsi, &back, abort ? 0 : 6 * FE_TIMEOUT_MS) == 0 && back == req,
	     abort ? "the command has come back by then" : "a stuck command comes back");
	check_end("how it ended", req, abort ? VIRTIO_SCSI_S_ABORTED : VIRTIO_SCSI_S_OK,
		  abort ? NO_SENSE : SENSE_TIMEOUT);
	fe_scsi_put(req);
	write_file(DEBUG "every_nth", "0");
	write_file(DEBUG "opts", "0");
	settle(1, "the unit goes on");
	req = transfer(1, false, 0, 8, 0);
	run("it reads", req, NO_SENSE);
	fe_scsi_put(req);
	run_alone("the other unit, too", 0, "0 0 0 0 0 0", 0, NO_SENSE);
}

/* The host loses unit 1's device while it has commands. */
static void test_gone(const char *scsi_device)
{
	char path[256];
	struct fe_scsi_req *req = transfer(1, false, 0, 8, 0), *back;

	must(fe_scsi_submit(req) == 0, "submit");
	snprintf(path, sizeof(path), "%s/delete", scsi_device);
	write_file(path, "1");
	must(fe_scsi_reap(&scsi, &back, 6 * FE_TIMEOUT_MS) == 0 && back == req,
	     "the last command comes back");
	fe_scsi_put(req);
	run_alone("a command after that", 1, "0 0 0 0 0 0", 0, SENSE_NO_UNIT);
	run_alone("and another one", 1, "0 0 0 0 0 0", 0, SENSE_NO_UNIT);
	req = transfer(0, false, 0, 8, 0);
	run("the other unit goes on", req, NO_SENSE);
	fe_scsi_put(req);
}

static void connect_to(const char *socket)
{
	unsigned int i;

	must(fe_connect(&fe, socket) == 0 && fe_negotiate(&fe, FEATURES, PROTOCOL) == 0 &&
	     fe_mem_init(&mem, 0x100000, 2 * DEPTH * (DATA_MAX + 4096) + (4u << 20)) == 0,
	     "connect");
	for (i = 0; i < 3; i++) {
		const struct fe_ring_params params = {
			.index = i, .size = 256, .features = fe.features,
			.indirect = i < FE_SCSI_REQUEST ? 0 : 600,
		};

		must(fe_ring_init(&rings[i], &mem, &params) == 0, "make a ring");
	}
	must(fe_scsi_init(&scsi, &rings[FE_SCSI_REQUEST], DEPTH, DATA_MAX) == 0 &&
	     fe_scsi_ctrl_init(&ctrl, &rings[FE_SCSI_CONTROL]) == 0 &&
	     fe_start(&fe, &mem, list, 3) == 0, "start");
}

int main(int argc, char **argv)
{
	must(argc == 3, "usage: pass SOCKET SCSI_DEVICE");
	connect_to(argv[1]);
	test_attention(0);
	test_attention(1);
	test_inquiry();
	test_data();
	test_errors();
	test_many();
	test_reset();
	test_stuck(false);
	test_stuck(true);
	test_gone(argv[2]);
	fe_close(&fe);
	return 0;
}
