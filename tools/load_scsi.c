/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads and writes of one logical unit behind virtio-scsi. */
#include "config.h"

#include <endian.h>
#include <errno.h>
#include <linux/virtio_scsi.h>
#include <string.h>

#include "frontend/fe_scsi.h"
#include "tools/disk.h"
#include "util.h"

/* In a slot's head: the request, and further on the response. */
#define SCSI_RESPONSE	64u
#define SCSI_HEAD	256u

#define SCSI_READ_16		0x88
#define SCSI_WRITE_16		0x8a
#define SCSI_TEST_UNIT_READY	0x00
#define SCSI_READ_CAPACITY_16	0x9e	/* service action 0x10 */
#define SCSI_CAPACITY_LEN	32u

#define SCSI_CHECK_CONDITION	0x02
#define SCSI_UNIT_ATTENTION	0x06	/* sense key */

/* What a unit may have to tell before it works. */
#define SCSI_ATTENTIONS_MAX	16u

static struct virtio_scsi_cmd_req *scsi_req(struct load_slot *s)
{
	return (void *)s->head;
}

static const struct virtio_scsi_cmd_resp *scsi_resp(const struct load_slot *s)
{
	return (const void *)(s->head + SCSI_RESPONSE);
}

static int scsi_open(struct load *l)
{
	unsigned int i;

	if (l->params.block > UINT32_MAX / 2 || l->params.target > 255 || l->params.lun > 16383)
		return load_wrong(l, "there is no such logical unit");
	load_add_queue(l, LOAD_IDLE);
	load_add_queue(l, LOAD_IDLE);
	for (i = 0; i < l->params.queues; i++)
		load_add_queue(l, LOAD_ACTIVE);
	return 0;
}

/* A command whose len bytes of data the device reads, or else writes. */
static void scsi_frame(const struct load *l, struct load_slot *s, bool out, size_t len)
{
	struct virtio_scsi_cmd_req *req = scsi_req(s);
	const struct iovec data = { .iov_base = s->data, .iov_len = len };

	fe_scsi_lun(req->lun, (uint8_t)l->params.target, (uint16_t)l->params.lun);
	req->tag = htole64(s->index);
	memset(s->head + SCSI_RESPONSE, FE_SCSI_NO_RESPONSE, sizeof(struct virtio_scsi_cmd_resp));
	s->out[0] = (struct iovec){ .iov_base = req, .iov_len = sizeof(*req) };
	s->in[0] = (struct iovec){ .iov_base = s->head + SCSI_RESPONSE,
				   .iov_len = sizeof(struct virtio_scsi_cmd_resp) };
	s->out[1] = s->in[1] = data;
	s->nout = out && len ? 2 : 1;
	s->nin = !out && len ? 2 : 1;
}

/* Whether the command succeeded; if not, why. */
static int scsi_judge(struct load *l, const struct load_slot *s, const char *what)
{
	const struct virtio_scsi_cmd_resp *r = scsi_resp(s);

	if (r->response == FE_SCSI_NO_RESPONSE)
		return load_wrong(l, "%s: there is no response", what);
	if (r->response)
		return load_wrong(l, "%s: response %u%s", what, r->response,
				  r->response == VIRTIO_SCSI_S_BAD_TARGET ?
				  ", there is no such logical unit" : "");
	if (r->status)
		return load_wrong(l, "%s: status 0x%02x, sense key 0x%x, code 0x%02x%02x", what,
				  r->status, r->sense[2] & 0xf, r->sense[12], r->sense[13]);
	if (r->resid)
		return load_wrong(l, "%s: %u bytes were left", what, le32toh(r->resid));
	return 0;
}

static bool scsi_attention(const struct load_slot *s)
{
	const struct virtio_scsi_cmd_resp *r = scsi_resp(s);

	return !r->response && r->status == SCSI_CHECK_CONDITION &&
	       (r->sense[2] & 0xf) == SCSI_UNIT_ATTENTION;
}

/* One command at the beginning; what the unit has to tell first is heard and forgotten. */
static int scsi_command(struct load *l, const uint8_t cdb[16], size_t len, const char *what)
{
	struct load_queue *q = &l->queues[FE_SCSI_REQUEST];
	struct load_slot *s = &q->slots[0];
	unsigned int i;
	int64_t n = 0;

	memset(s->head, 0, SCSI_HEAD);
	memcpy(scsi_req(s)->cdb, cdb, 16);
	for (i = 0; i < SCSI_ATTENTIONS_MAX; i++) {
		scsi_frame(l, s, false, len);
		n = load_one(q, s);
		if (n < 0)
			return (int)n;
		if (!scsi_attention(s))
			break;
	}
	return scsi_judge(l, s, what);
}

static uint64_t scsi_get(const uint8_t *p, unsigned int n)
{
	uint64_t value = 0;

	while (n--)
		value = value << 8 | *p++;
	return value;
}

static void scsi_put(uint8_t *p, unsigned int n, uint64_t value)
{
	for (; n--; value >>= 8)
		p[n] = (uint8_t)value;
}

static int scsi_started(struct load *l)
{
	static const uint8_t ready[16] = { SCSI_TEST_UNIT_READY };
	static const uint8_t capacity[16] = { SCSI_READ_CAPACITY_16, 0x10,
					      [13] = SCSI_CAPACITY_LEN };
	const uint8_t *data = l->queues[FE_SCSI_REQUEST].slots[0].data;
	uint64_t blocks, len;
	int err;

	err = scsi_command(l, ready, 0, "TEST UNIT READY");
	if (!err)
		err = scsi_command(l, capacity, SCSI_CAPACITY_LEN, "READ CAPACITY");
	if (err)
		return err;
	blocks = scsi_get(data, 8);
	len = scsi_get(data + 8, 4);
	if (len < DISK_SECTOR || len > 65536 || blocks >= UINT64_MAX / len - 1)
		return load_wrong(l, "a disk of %llu blocks of %llu bytes, it says",
				  (unsigned long long)blocks, (unsigned long long)len);
	if (l->params.block % len)
		return load_wrong(l, "the logical unit has blocks of %llu bytes",
				  (unsigned long long)len);
	err = disk_open(l, (blocks + 1) * len, false);
	if (!err)
		((struct disk *)l->device)->unit = (uint32_t)len;
	return err;
}

static bool scsi_prepare(struct load_queue *q, struct load_slot *s)
{
	struct load *l = q->load;
	uint32_t unit = ((const struct disk *)l->device)->unit;
	uint8_t *cdb = scsi_req(s)->cdb;

	if (!disk_next(l, s))
		return false;
	scsi_frame(l, s, s->write, l->params.block);
	cdb[0] = s->write ? SCSI_WRITE_16 : SCSI_READ_16;
	cdb[1] = 0;
	scsi_put(cdb + 2, 8, s->block * (l->params.block / unit));
	scsi_put(cdb + 10, 4, l->params.block / unit);
	cdb[14] = cdb[15] = 0;
	return true;
}

static void scsi_retry(struct load_queue *q, struct load_slot *s)
{
	scsi_frame(q->load, s, s->write, q->load->params.block);
}

static int64_t scsi_done(struct load_queue *q, struct load_slot *s, uint32_t len)
{
	int err = scsi_attention(s) ? -EAGAIN :
		  scsi_judge(q->load, s, s->write ? "WRITE" : "READ");

	(void)len;
	return err ? err : disk_done(q->load, s);
}

const struct load_ops load_scsi = {
	.name = "scsi",
	.title = "SCSI disk",
	.unit = "IOPS",
	.features = FE_BIT(VIRTIO_SCSI_F_HOTPLUG) | FE_BIT(VIRTIO_SCSI_F_CHANGE),
	.block = 4096, .block_min = DISK_SECTOR, .block_max = 1 << 20, .block_unit = DISK_SECTOR,
	.descs = 3,
	.head = SCSI_HEAD,
	.disk = true,
	.open = scsi_open,
	.started = scsi_started,
	.close = disk_close,
	.prepare = scsi_prepare,
	.retry = scsi_retry,
	.done = scsi_done,
	.recheck = disk_recheck,
};
