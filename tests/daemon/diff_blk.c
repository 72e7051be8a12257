/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two block back-ends get the same random requests on equal images and must do the same.
 *
 *   diff_blk [--seed=N] [--count=N] SOCKET IMAGE SOCKET IMAGE
 *
 * Requests go out in batches, each with its own stripe of the disk, so that they can be done in
 * any order.  Compared are status, used length and all bytes of the data buffer, those
 * included which the device should not have touched; in the end, the images.  A third copy of the
 * disk, kept here, says what reads must return, even if both back-ends agreed on something else.
 * It knows of each sector whether its content is undefined because of a discard.
 *
 * At most one thing is wrong with a request, since nobody says which error comes first.
 */
#include "config.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/virtio_config.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "frontend/fe_blk.h"

#define BATCH_MAX	8u
#define DATA_MAX	(256u << 10)
#define RING_SIZE	256u
#define TABLE_LEN	64u
#define MEM_SIZE	(16u << 20)
#define COUNT		4000u
#define FEATURES	(FE_BIT(VIRTIO_F_VERSION_1) | FE_BIT(VIRTIO_RING_F_EVENT_IDX) | \
			 FE_BIT(VIRTIO_RING_F_INDIRECT_DESC) | FE_BIT(VU_F_PROTOCOL_FEATURES) | \
			 FE_BIT(VIRTIO_BLK_F_FLUSH) | FE_BIT(VIRTIO_BLK_F_DISCARD) | \
			 FE_BIT(VIRTIO_BLK_F_WRITE_ZEROES) | FE_BIT(VIRTIO_BLK_F_RO))
#define PROTOCOL	(FE_BIT(VU_PROTOCOL_F_MQ) | FE_BIT(VU_PROTOCOL_F_REPLY_ACK) | \
			 FE_BIT(VU_PROTOCOL_F_CONFIG))

/* What the identifier of both disks is. */
#define ID		"vhost_user_blk"

#define SECTOR_UNDEFINED	0x1	/* discarded: reads as before, or as zeroes */

/* One request as both back-ends get it. */
struct op {
	uint32_t type;
	uint32_t len;			/* bytes of data */
	uint64_t sector;		/* in the header */
	unsigned int framing;
	uint32_t cut;
	uint32_t shift;
	struct virtio_blk_discard_write_zeroes range;
	uint64_t pattern;		/* what the data buffer is filled with before */
	const char *wrong;		/* what is wrong with it, or NULL */
};

/* One of the two back-ends. */
struct side {
	const char *socket;
	int image;			/* fd */
	struct fe fe;
	struct fe_mem mem;
	struct fe_ring ring;
	struct fe_blk blk;
	struct fe_blk_req *reqs[BATCH_MAX];
};

static struct side sides[2];
static uint8_t *disk;			/* what it must contain */
static uint8_t *marks;			/* per sector, SECTOR_* */
static uint64_t sectors;		/* in it */
static uint64_t seed, state;
static unsigned int done;		/* requests */
static unsigned int done_wrong;		/* of them, with something wrong */

/*
 * Known differences.
 */

#define DIFF_USED	(1u << 0)	/* used length */
#define DIFF_PADDING	(1u << 1)	/* what follows the identifier up to its 20 bytes */

static bool failed_with_data(const struct op *op, uint8_t status)
{
	return status != VIRTIO_BLK_S_OK && op->len && op->type != VIRTIO_BLK_T_OUT &&
	       op->type != VIRTIO_BLK_T_DISCARD && op->type != VIRTIO_BLK_T_WRITE_ZEROES;
}

static bool any_id(const struct op *op, uint8_t status)
{
	(void)status;
	return op->type == VIRTIO_BLK_T_GET_ID;
}

static bool long_id(const struct op *op, uint8_t status)
{
	(void)status;
	return op->type == VIRTIO_BLK_T_GET_ID && op->len > VIRTIO_BLK_ID_BYTES;
}

static const struct difference {
	bool (*applies)(const struct op *op, uint8_t status);
	unsigned int what;		/* DIFF_*, not compared */
	const char *why;
} differences[] = {
	{ failed_with_data, DIFF_USED,
	  "a failed request with room for data: qemu-storage-daemon counts the whole room as "
	  "written, which it was not" },
	{ any_id, DIFF_PADDING,
	  "an identifier: qemu-storage-daemon writes one zero behind it, not as many as there is "
	  "room for in its 20 bytes" },
	{ long_id, DIFF_USED,
	  "an identifier into more than 20 bytes: qemu-storage-daemon counts the whole room as "
	  "written, which it was not" },
	/*
	 * Not asked at all, since qemu-storage-daemon never returns such a request: no room for a
	 * status, or less than a header.  And, because only one is offered: discard and
	 * write-zeroes of more than one segment.
	 */
};

static unsigned int ignored(const struct op *op, uint8_t status)
{
	unsigned int i, what = 0;

	for (i = 0; i < sizeof(differences) / sizeof(differences[0]); i++)
		if (differences[i].applies(op, status))
			what |= differences[i].what;
	return what;
}

/*
 * Saying what went wrong.
 */

static void print_op(const struct op *op)
{
	printf("# type %u, sector %llu, %u bytes, framing %#x, cut %u, shift %u", op->type,
	       (unsigned long long)op->sector, op->len, op->framing, op->cut, op->shift);
	if (op->type == VIRTIO_BLK_T_DISCARD || op->type == VIRTIO_BLK_T_WRITE_ZEROES)
		printf("; range %llu, %u sectors, flags %#x",
		       (unsigned long long)le64toh(op->range.sector),
		       le32toh(op->range.num_sectors), le32toh(op->range.flags));
	printf("; wrong: %s\n", op->wrong ? op->wrong : "nothing");
}

__attribute__((format(printf, 2, 3), noreturn))
static void fail(const struct op *op, const char *fmt, ...)
{
	va_list ap;

	printf("# seed %llu, behind %u requests: ", (unsigned long long)seed, done);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	if (op)
		print_op(op);
	exit(1);
}

static void check(const struct side *s, const char *what, int err)
{
	if (err < 0)
		fail(NULL, "%s: %s: %s", s->socket, what, strerror(-err));
}

/*
 * Random requests.
 */

/* splitmix64: any seed will do. */
static uint64_t random64(void)
{
	uint64_t z = (state += 0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

static uint32_t below(uint32_t n)
{
	return (uint32_t)(random64() % n);
}

static bool one_in(uint32_t n)
{
	return !below(n);
}

/* The sectors of a range within stripe i of n; mostly short ones. */
static uint32_t pick_range(unsigned int i, unsigned int n, uint64_t *sector, uint32_t max)
{
	uint64_t first = sectors * i / n, end = sectors * (i + 1) / n;
	uint32_t num = below(one_in(8) ? max + 1 : 17);

	if (num > end - first)
		num = (uint32_t)(end - first);
	*sector = first + random64() % (end - first - num + 1);
	/* Borders are where mistakes live. */
	if (one_in(16))
		*sector = end - num;
	return num;
}

/* Move a range out of the disk. */
static void spoil_range(struct op *op, uint64_t *sector, uint32_t num)
{
	op->wrong = "range";
	switch (below(4)) {
	case 0:
		*sector = sectors - num + 1;
		break;
	case 1:
		*sector = sectors + below(1000) + 1;
		break;
	case 2:
		*sector = UINT64_MAX - below(300);
		break;
	default:
		/* In bytes this wraps to the beginning. */
		*sector = (UINT64_C(1) << (55 + below(9))) + below(8);
	}
}

static void pick_rw(struct op *op, unsigned int i, unsigned int n)
{
	uint32_t num = pick_range(i, n, &op->sector, DATA_MAX / FE_BLK_SECTOR);

	op->len = num * FE_BLK_SECTOR;
	if (one_in(30)) {
		spoil_range(op, &op->sector, num);
	} else if (num && one_in(30)) {
		op->wrong = "length";
		op->len -= 1 + below(FE_BLK_SECTOR - 1);
	}
}

static void pick_zero(struct op *op, unsigned int i, unsigned int n)
{
	uint64_t sector;
	uint32_t flags = op->type == VIRTIO_BLK_T_DISCARD ? 0 : below(2);
	uint32_t num = pick_range(i, n, &sector, 1024);

	op->len = sizeof(op->range);
	if (one_in(20)) {
		spoil_range(op, &sector, num);
	} else if (one_in(20)) {
		op->wrong = "flags";
		flags = op->type == VIRTIO_BLK_T_DISCARD ? 1 : 1u << (1 + below(31));
	} else if (one_in(20)) {
		op->wrong = "length of the segment";
		op->len = 1 + below(sizeof(op->range) - 1);
	}
	op->range.sector = htole64(sector);
	op->range.num_sectors = htole32(num);
	op->range.flags = htole32(flags);
}

static const uint32_t strange_types[] = { 2, 7, 9, 10, 12, 14, 16, 26, 0x7fffffff, 0xfffffffe };

static void pick_type(struct op *op, unsigned int i, unsigned int n)
{
	static const uint32_t types[] = {
		VIRTIO_BLK_T_IN, VIRTIO_BLK_T_IN, VIRTIO_BLK_T_IN, VIRTIO_BLK_T_IN,
		VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_OUT,
		VIRTIO_BLK_T_WRITE_ZEROES, VIRTIO_BLK_T_DISCARD,
	};

	op->type = types[below(sizeof(types) / sizeof(types[0]))];
	if (one_in(30)) {
		op->type = VIRTIO_BLK_T_FLUSH;
	} else if (one_in(50)) {
		op->type = VIRTIO_BLK_T_GET_ID;
		op->len = one_in(2) ? VIRTIO_BLK_ID_BYTES : below(64);
	} else if (one_in(50)) {
		op->wrong = "type";
		op->type = strange_types[below(sizeof(strange_types) / sizeof(uint32_t))];
	} else if (op->type == VIRTIO_BLK_T_IN || op->type == VIRTIO_BLK_T_OUT) {
		pick_rw(op, i, n);
	} else {
		pick_zero(op, i, n);
	}
}

/* Any request, on stripe i of n. */
static void pick(struct op *op, unsigned int i, unsigned int n)
{
	*op = (struct op){ .pattern = random64() };
	pick_type(op, i, n);
	op->framing = below(8);
	if (one_in(2))
		op->shift = one_in(2) ? below(8) * FE_BLK_SECTOR : below(FE_BLK_SHIFT_MAX + 1);
	/* At most 12 pieces, so that a batch of direct chains fits the ring. */
	if (one_in(2))
		op->cut = 1 + op->len / 12 + below(op->len + 1);
}

/*
 * Doing them.
 */

/* All bytes which the device might write wrongly. */
static uint32_t data_room(const struct op *op)
{
	return DATA_MAX + FE_BLK_SHIFT_MAX - op->shift;
}

static void fill(struct fe_blk_req *req, const struct op *op)
{
	uint8_t *data = fe_blk_data(req);
	uint64_t x = op->pattern;
	uint32_t i;

	for (i = 0; i < op->len; i++) {
		data[i] = (uint8_t)x;
		x = x >> 8 | (x * 131 + i) << 56;
	}
	memset(data + op->len, 0x5a, data_room(op) - op->len);
	if (op->type == VIRTIO_BLK_T_DISCARD || op->type == VIRTIO_BLK_T_WRITE_ZEROES)
		memcpy(data, &op->range, sizeof(op->range));
}

/* Send ops to one side and wait until all have come back. */
static void submit(struct side *s, const struct op *ops, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		struct fe_blk_req *req = s->reqs[i] = fe_blk_get(&s->blk);

		req->type = ops[i].type;
		req->len = ops[i].len;
		req->sector = ops[i].sector;
		req->framing = ops[i].framing;
		req->cut = ops[i].cut;
		req->shift = ops[i].shift;
		fill(req, &ops[i]);
		check(s, "request", fe_blk_add(&s->blk, req));
	}
	fe_ring_submit(&s->ring);
}

static void collect(struct side *s)
{
	struct fe_blk_req *req;

	while (s->ring.outstanding)
		check(s, "waiting for a request", fe_blk_reap(&s->blk, &req, FE_TIMEOUT_MS));
}

/* Whether the sector's bytes are what they may be. */
static bool sector_ok(uint64_t sector, const uint8_t *data)
{
	static const uint8_t zeroes[FE_BLK_SECTOR];

	if (!memcmp(data, disk + sector * FE_BLK_SECTOR, FE_BLK_SECTOR))
		return true;
	return (marks[sector] & SECTOR_UNDEFINED) && !memcmp(data, zeroes, FE_BLK_SECTOR);
}

/* A successful read: both sides have returned what was there. */
static void judge_read(const struct op *op, unsigned int i)
{
	unsigned int side;
	uint64_t n;

	for (side = 0; side < 2; side++)
		for (n = 0; n < op->len / FE_BLK_SECTOR; n++)
			if (!sector_ok(op->sector + n,
				       fe_blk_data(sides[side].reqs[i]) + n * FE_BLK_SECTOR))
				fail(op, "%s: wrong data in sector %llu", sides[side].socket,
				     (unsigned long long)(op->sector + n));
}

/* A successful write, discard or write-zeroes changes the disk. */
static void apply(const struct op *op, const uint8_t *data)
{
	uint64_t sector = op->sector, num = op->len / FE_BLK_SECTOR;

	if (op->type != VIRTIO_BLK_T_OUT) {
		sector = le64toh(op->range.sector);
		num = le32toh(op->range.num_sectors);
	}
	if (op->type == VIRTIO_BLK_T_DISCARD) {
		memset(marks + sector, SECTOR_UNDEFINED, num);
		return;
	}
	memset(marks + sector, 0, num);
	if (op->type == VIRTIO_BLK_T_OUT)
		memcpy(disk + sector * FE_BLK_SECTOR, data, op->len);
	else
		memset(disk + sector * FE_BLK_SECTOR, 0, num * FE_BLK_SECTOR);
}

/* Whether the data buffers are equal, apart from the bytes in [from, to). */
static bool same_data(const struct op *op, unsigned int i, uint32_t from, uint32_t to)
{
	const uint8_t *a = fe_blk_data(sides[0].reqs[i]), *b = fe_blk_data(sides[1].reqs[i]);

	return !memcmp(a, b, from) && !memcmp(a + to, b + to, data_room(op) - to);
}

static bool judge_data(const struct op *op, unsigned int i, uint8_t status)
{
	uint32_t id_len = op->len < VIRTIO_BLK_ID_BYTES ? op->len : VIRTIO_BLK_ID_BYTES;
	uint32_t text_len = id_len < sizeof(ID) ? id_len : sizeof(ID);

	/* What a read returns is judged by sectors; the status lies behind the data. */
	if (op->type == VIRTIO_BLK_T_IN && status == VIRTIO_BLK_S_OK)
		return same_data(op, i, 0, op->len + 1);
	if (ignored(op, status) & DIFF_PADDING)
		return same_data(op, i, text_len, id_len);
	return same_data(op, i, 0, 0);
}

/* Compare what the sides have made of op i. */
static void judge(const struct op *op, unsigned int i)
{
	const struct fe_blk_req *a = sides[0].reqs[i], *b = sides[1].reqs[i];
	uint8_t status = fe_blk_status(a);

	if (status != fe_blk_status(b))
		fail(op, "status %u and %u", status, fe_blk_status(b));
	if (a->used_len != b->used_len && !(ignored(op, status) & DIFF_USED))
		fail(op, "status %u, used length %u and %u", status, a->used_len, b->used_len);
	if (!judge_data(op, i, status))
		fail(op, "status %u, the data buffers differ", status);
	if (op->wrong && status == VIRTIO_BLK_S_OK)
		fail(op, "both say that it is good");
	if (status != VIRTIO_BLK_S_OK)
		return;
	if (op->type == VIRTIO_BLK_T_IN)
		judge_read(op, i);
	else if (op->type != VIRTIO_BLK_T_FLUSH && op->type != VIRTIO_BLK_T_GET_ID)
		apply(op, fe_blk_data(a));
}

static void run_batch(unsigned int n)
{
	struct op ops[BATCH_MAX];
	bool indirect = one_in(2);
	unsigned int i, side;

	for (i = 0; i < n; i++)
		pick(&ops[i], i, n);
	for (side = 0; side < 2; side++) {
		sides[side].ring.indirect = indirect ? TABLE_LEN : 0;
		submit(&sides[side], ops, n);
	}
	collect(&sides[0]);
	collect(&sides[1]);
	for (i = 0; i < n; i++) {
		judge(&ops[i], i);
		done++;
		done_wrong += !!ops[i].wrong;
	}
	for (i = n; i-- > 0; ) {
		fe_blk_put(&sides[0].blk, sides[0].reqs[i]);
		fe_blk_put(&sides[1].blk, sides[1].reqs[i]);
	}
}

/* The images contain what was written. */
static void judge_image(const struct side *s)
{
	uint8_t data[FE_BLK_SECTOR];
	uint64_t n;

	for (n = 0; n < sectors; n++) {
		if (pread(s->image, data, sizeof(data), (off_t)(n * sizeof(data))) !=
		    (ssize_t)sizeof(data))
			fail(NULL, "%s: cannot read the image", s->socket);
		if (!sector_ok(n, data))
			fail(NULL, "%s: wrong data in sector %llu of the image", s->socket,
			     (unsigned long long)n);
	}
}

/*
 * Beginning and end.
 */

static void open_side(struct side *s, const char *socket, const char *image)
{
	s->socket = socket;
	s->image = open(image, O_RDONLY | O_CLOEXEC);
	if (s->image < 0)
		fail(NULL, "%s: %s", image, strerror(errno));
	check(s, "connection", fe_connect(&s->fe, socket));
}

/* The disk as it is at first. */
static void load_disk(void)
{
	struct stat st;

	if (fstat(sides[0].image, &st) < 0)
		fail(NULL, "image: %s", strerror(errno));
	sectors = (uint64_t)st.st_size / FE_BLK_SECTOR;
	disk = malloc(sectors * FE_BLK_SECTOR);
	marks = calloc(sectors, 1);
	if (!disk || !marks)
		fail(NULL, "no memory");
	if (pread(sides[0].image, disk, sectors * FE_BLK_SECTOR, 0) !=
	    (ssize_t)(sectors * FE_BLK_SECTOR))
		fail(NULL, "cannot read the image");
}

static void start_side(struct side *s, uint64_t features)
{
	struct fe_ring *rings[] = { &s->ring };
	struct virtio_blk_config config;

	check(s, "negotiation", fe_negotiate(&s->fe, features, PROTOCOL));
	check(s, "GET_CONFIG", fe_get_config(&s->fe, 0, &config, sizeof(config.capacity)));
	if (le64toh(config.capacity) != sectors)
		fail(NULL, "%s: capacity %llu", s->socket,
		     (unsigned long long)le64toh(config.capacity));
	check(s, "memory", fe_mem_init(&s->mem, 0x40000000, MEM_SIZE));
	check(s, "ring", fe_ring_init(&s->ring, &s->mem, &(struct fe_ring_params){
		.size = RING_SIZE, .features = s->fe.features, .indirect = TABLE_LEN }));
	check(s, "requests", fe_blk_init(&s->blk, &s->ring, BATCH_MAX, DATA_MAX));
	check(s, "start", fe_start(&s->fe, &s->mem, rings, 1));
}

static void close_side(struct side *s)
{
	struct fe_ring *rings[] = { &s->ring };

	check(s, "stop", fe_stop(&s->fe, rings, 1));
	judge_image(s);
	fe_close(&s->fe);
	fe_blk_free(&s->blk);
	fe_ring_free(&s->ring);
	fe_mem_free(&s->mem);
	close(s->image);
}

static const struct option options[] = {
	{ "seed", required_argument, NULL, 's' },
	{ "count", required_argument, NULL, 'c' },
	{ NULL, 0, NULL, 0 }
};

int main(int argc, char **argv)
{
	unsigned int count = COUNT;
	uint64_t a, b;
	int c;

	if (getrandom(&seed, sizeof(seed), 0) < 0)
		return 1;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 's')
			seed = strtoull(optarg, NULL, 0);
		else if (c == 'c')
			count = (unsigned int)strtoul(optarg, NULL, 0);
		else
			return 2;
	}
	if (argc - optind != 4) {
		fprintf(stderr, "usage: diff_blk [--seed=N] [--count=N] "
			"SOCKET IMAGE SOCKET IMAGE\n");
		return 2;
	}
	state = seed;
	open_side(&sides[0], argv[optind], argv[optind + 1]);
	open_side(&sides[1], argv[optind + 2], argv[optind + 3]);
	load_disk();
	/* Only what both offer. */
	check(&sides[0], "features", fe_get_features(&sides[0].fe, &a));
	check(&sides[1], "features", fe_get_features(&sides[1].fe, &b));
	start_side(&sides[0], FEATURES & a & b);
	start_side(&sides[1], FEATURES & a & b);
	while (done < count)
		run_batch(1 + below(BATCH_MAX));
	close_side(&sides[0]);
	close_side(&sides[1]);
	printf("# seed %llu: %u requests, %u of them wrong, no difference\n",
	       (unsigned long long)seed, done, done_wrong);
	free(disk);
	free(marks);
	return 0;
}
