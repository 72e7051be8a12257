/* SPDX-License-Identifier: BSD-3-Clause */
/* Units which come, change and go while the driver uses them, and what it is told. */
#include "scsi_world.h"

#include <endian.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "tap.h"
#include "util.h"

#define POWER_ON	0x2901
#define LUNS_CHANGED	0x3f0e
#define NO_UNIT		(2 << 16 | 0x2500)

static struct world world;
static const struct world_params plain = { .units = { { .sectors = WORLD_SECTORS } } };
static const struct world_params threads = {
	.units = { { .sectors = WORLD_SECTORS } }, .scsi.queues = 3, .workers = 2,
};
static const struct world_unit second = { .lun = 1, .sectors = WORLD_SECTORS };
static const struct world_unit far = { .target = 255, .lun = 16383, .sectors = WORLD_SECTORS };

static void expect_event(uint32_t event, uint8_t target, uint16_t lun, uint32_t reason)
{
	struct virtio_scsi_event e = world_get_event(&world);
	uint8_t address[8];

	/* Linux takes these two bytes for the unit's number, as in REPORT LUNS. */
	fe_scsi_lun(address, target, lun);
	if (lun < 256)
		address[2] = 0;
	ck_assert_uint_eq(le32toh(e.event), event);
	ck_assert_uint_eq(le32toh(e.reason), reason);
	ck_assert_mem_eq(e.lun, address, 8);
}

static void expect_missed(void)
{
	static const uint8_t zero[8];
	struct virtio_scsi_event e = world_get_event(&world);

	ck_assert_uint_eq(le32toh(e.event), VIRTIO_SCSI_T_NO_EVENT | VIRTIO_SCSI_T_EVENTS_MISSED);
	ck_assert_uint_eq(e.reason, 0);
	ck_assert_mem_eq(e.lun, zero, 8);
}

/* The unit has this one attention, and no other. */
static void expect_attention(uint8_t target, uint16_t lun, uint16_t attention)
{
	uint16_t codes[4];

	ck_assert_uint_eq(world_take_attentions(&world, target, lun, codes, 4), 1);
	ck_assert_uint_eq(codes[0], attention);
}

/*
 * _i: 1 for workers of their own, 2 for packed rings
 */

static void up(int i)
{
	world_up(&world, i & 1 ? &threads : &plain, i & 2 ? UINT64_MAX : WORLD_FEATURES);
}

START_TEST(come_and_go)
{
	unsigned int ring;

	up(_i);
	world_put_events(&world, WORLD_EVENTS);
	ck_assert_int_eq(world_test(&world, 0, 1), NO_UNIT);
	ck_assert_int_eq(world_test(&world, 255, 16383), -1 - VIRTIO_SCSI_S_BAD_TARGET);

	world_add(&world, &second);
	expect_event(VIRTIO_SCSI_T_TRANSPORT_RESET, 0, 1, VIRTIO_SCSI_EVT_RESET_RESCAN);
	expect_attention(0, 0, LUNS_CHANGED);
	expect_attention(0, 1, POWER_ON);
	world_add(&world, &far);
	expect_event(VIRTIO_SCSI_T_TRANSPORT_RESET, 255, 16383, VIRTIO_SCSI_EVT_RESET_RESCAN);
	expect_attention(255, 16383, POWER_ON);
	ck_assert_int_eq(world_test(&world, 0, 0), 0);
	for (ring = 0; ring < world.num_rings; ring++) {
		world_expect_alive(&world, ring, 0, 1, 1);
		world_expect_alive(&world, ring, 255, 16383, 2);
	}

	ck_assert_int_eq(world_remove(&world, 0, 1), 0);
	expect_event(VIRTIO_SCSI_T_TRANSPORT_RESET, 0, 1, VIRTIO_SCSI_EVT_RESET_REMOVED);
	expect_attention(0, 0, LUNS_CHANGED);
	ck_assert_int_eq(world_test(&world, 0, 1), NO_UNIT);
	ck_assert_int_eq(world_remove(&world, 255, 16383), 0);
	expect_event(VIRTIO_SCSI_T_TRANSPORT_RESET, 255, 16383, VIRTIO_SCSI_EVT_RESET_REMOVED);
	ck_assert_int_eq(world_test(&world, 255, 16383), -1 - VIRTIO_SCSI_S_BAD_TARGET);
	ck_assert_int_eq(world_remove(&world, 255, 16383), -ENOENT);
	world_expect_alive(&world, 0, 0, 0, 0);
	world_down(&world);
}
END_TEST

/* REPORT LUNS takes the attention which tells of other units, and only that. */
START_TEST(report_luns)
{
	static const uint8_t cdb[12] = { 0xa0, 0, 0, 0, 0, 0, 0, 0, 1, 0 };
	struct fe_scsi_req *req;

	up(_i);
	world_add(&world, &second);
	req = world_req(&world, 0, 0, 0, cdb, sizeof(cdb));
	req->in_len = 256;
	ck_assert_int_eq(fe_scsi_run(req), 0);
	ck_assert_uint_eq(fe_scsi_resp(req).status, 0);
	ck_assert_uint_eq(fe_scsi_in(req)[3], 16);
	ck_assert_uint_eq(fe_scsi_in(req)[8 + 1], 0);
	ck_assert_uint_eq(fe_scsi_in(req)[16 + 1], 1);
	fe_scsi_put(req);
	ck_assert_int_eq(world_test(&world, 0, 0), 0);
	expect_attention(0, 1, POWER_ON);
	world_down(&world);
}
END_TEST

/* Commands of a unit which goes end before it has gone; those of others do not care. */
static void *remove_second(void *arg)
{
	int *ret = arg;

	*ret = world_remove(&world, 0, 1);
	return NULL;
}

START_TEST(go_in_work)
{
	struct fe_scsi_req *a, *b, *c;
	pthread_t thread;
	int ret = -1;

	up(_i);
	world_put_events(&world, 2);
	world_add(&world, &second);
	expect_event(VIRTIO_SCSI_T_TRANSPORT_RESET, 0, 1, VIRTIO_SCSI_EVT_RESET_RESCAN);
	world_take_attentions(&world, 0, 0, NULL, 0);
	world_take_attentions(&world, 0, 1, NULL, 0);
	gate_close();
	a = world_read(&world, 0, 0, 1, 5, 1);
	b = world_read(&world, 0, 0, 0, 5, 1);
	c = world_read(&world, 0, 0, 1, 5, 1);
	c->attr = VIRTIO_SCSI_S_ORDERED;
	ck_assert(!fe_scsi_submit(a) && !fe_scsi_submit(b) && !fe_scsi_submit(c));
	gate_wait(2);
	ck_assert(!pthread_create(&thread, NULL, remove_second, &ret));
	/* What was held back ends first. */
	world_reap(&world, 0, c, VIRTIO_SCSI_S_RESET, 0);
	ck_assert_int_eq(world_test(&world, 0, 1), NO_UNIT);
	ck_assert(!fe_ring_ready(&world.event_ring));
	gate_open(&world);
	pthread_join(thread, NULL);
	ck_assert_int_eq(ret, 0);
	expect_event(VIRTIO_SCSI_T_TRANSPORT_RESET, 0, 1, VIRTIO_SCSI_EVT_RESET_REMOVED);
	ck_assert(fe_ring_ready(&world.ring[0]));
	world_reap(&world, 0, a, VIRTIO_SCSI_S_RESET, 0);
	world_reap(&world, 0, b, VIRTIO_SCSI_S_OK, 0);
	world_down(&world);
}
END_TEST

/* Under load: no request is lost, and what the unit answers is its own, or that it is not there. */
START_TEST(load)
{
	unsigned int i, ring, rounds, ends = 0;

	up(_i);
	for (rounds = 0; rounds < 3; rounds++) {
		pthread_t thread;
		int ret = -1;

		world_add(&world, &second);
		ck_assert(!pthread_create(&thread, NULL, remove_second, &ret));
		for (i = 0; i < TAP_TIMES(300); i++) {
			for (ring = 0; ring < world.num_rings; ring++) {
				struct fe_scsi_req *req = world_read(&world, ring, 0, i % 2, i, 1);

				ck_assert_int_eq(fe_scsi_submit(req), 0);
			}
			for (ring = 0; ring < world.num_rings; ring++, ends++) {
				struct fe_scsi_req *req;

				ck_assert_int_eq(fe_scsi_reap(&world.fs[ring], &req,
							      FE_TIMEOUT_MS), 0);
				if (!fe_scsi_resp(req).response && !fe_scsi_resp(req).status)
					ck_assert_uint_eq(fe_scsi_in(req)[0],
							  world_pattern(i % 2 ? rounds + 1 : 0, i));
				fe_scsi_put(req);
			}
		}
		pthread_join(thread, NULL);
		ck_assert_int_eq(ret, 0);
		ck_assert_int_eq(world_test(&world, 0, 1), NO_UNIT);
	}
	world_take_attentions(&world, 0, 0, NULL, 0);
	world_expect_alive(&world, 0, 0, 0, 0);
	world_down(&world);
}
END_TEST

/*
 * Events
 */

START_TEST(missed)
{
	up(_i);
	world_add(&world, &second);
	world_add(&world, &far);
	/* A buffer tells that something was missed, even if nothing happens any more. */
	world_put_events(&world, 1);
	expect_missed();
	ck_assert_int_eq(world_remove(&world, 0, 1), 0);
	world_put_events(&world, 2);
	expect_missed();
	ck_assert_int_eq(world_remove(&world, 255, 16383), 0);
	expect_event(VIRTIO_SCSI_T_TRANSPORT_RESET, 255, 16383, VIRTIO_SCSI_EVT_RESET_REMOVED);
	world_down(&world);
}
END_TEST

START_TEST(short_buffer)
{
	void *cookie;
	uint32_t len;

	up(_i);
	world_put_event(&world, 0, sizeof(world.events[0]) - 1);
	/* It comes back unused, and the event is lost. */
	world_resized(&world, 0, 0);
	ck_assert_int_eq(fe_ring_wait(&world.event_ring, FE_TIMEOUT_MS), 0);
	ck_assert_int_eq(fe_ring_get(&world.event_ring, &cookie, &len), 1);
	ck_assert_uint_eq(len, 0);
	ck_assert_uint_eq(world_malformed(&world, FE_SCSI_EVENT), 1);
	world_put_events(&world, 1);
	expect_missed();
	world_down(&world);
}
END_TEST

/* Who has not asked for events gets none.  Of the two features, each has its own. */
START_TEST(not_asked)
{
	up(0);
	world_disconnect(&world);
	world_connect(&world, WORLD_FEATURES & ~FE_BIT(VIRTIO_SCSI_F_HOTPLUG), 1);
	world_take_attentions(&world, 0, 0, NULL, 0);
	world_put_events(&world, 2);
	world_add(&world, &second);
	world_resized(&world, 0, 0);
	expect_event(VIRTIO_SCSI_T_PARAM_CHANGE, 0, 0, 0x092a);
	world_disconnect(&world);
	world_connect(&world, WORLD_FEATURES & ~FE_BIT(VIRTIO_SCSI_F_CHANGE), 1);
	world_put_events(&world, 2);
	world_resized(&world, 0, 0);
	ck_assert_int_eq(world_remove(&world, 0, 1), 0);
	expect_event(VIRTIO_SCSI_T_TRANSPORT_RESET, 0, 1, VIRTIO_SCSI_EVT_RESET_REMOVED);
	world_down(&world);
}
END_TEST

/* QEMU tells of HOTPLUG, but not of CHANGE and VERSION_1, which its driver has chosen, too. */
START_TEST(concealed)
{
	up(0);
	world_disconnect(&world);
	world_greet(&world, WORLD_FEATURES & ~FE_BIT(VIRTIO_SCSI_F_CHANGE));
	world.fe.features &= ~FE_BIT(VIRTIO_F_VERSION_1);
	world_start(&world, 1);
	world_put_events(&world, 1);
	world_resized(&world, 0, 0);
	expect_event(VIRTIO_SCSI_T_PARAM_CHANGE, 0, 0, 0x092a);
	world_down(&world);
}
END_TEST

/* Buffers which the device holds come back to the ring when it stops, and serve again. */
START_TEST(buffers_after_stop)
{
	up(_i);
	world_put_events(&world, 3);
	world_resized(&world, 0, 0);
	expect_event(VIRTIO_SCSI_T_PARAM_CHANGE, 0, 0, 0x092a);
	ck_assert_int_eq(fe_stop(&world.fe, world.rings, 2 + world.num_rings), 0);
	world_resized(&world, 0, 0);
	ck_assert_int_eq(fe_start(&world.fe, &world.mem, world.rings, 2 + world.num_rings), 0);
	expect_missed();
	world_resized(&world, 0, 0);
	expect_event(VIRTIO_SCSI_T_PARAM_CHANGE, 0, 0, 0x092a);
	world_down(&world);
}
END_TEST

START_TEST(resized)
{
	const struct world_params params = {
		.units = { { .sectors = 64 }, { .lun = 1, .sectors = 64, .cdrom = true } },
	};

	world_up(&world, &params, WORLD_FEATURES);
	world_put_events(&world, 2);
	/* Not for a CD-ROM. */
	world_resized(&world, 0, 1);
	world_resized(&world, 0, 0);
	expect_event(VIRTIO_SCSI_T_PARAM_CHANGE, 0, 0, 0x092a);
	expect_attention(0, 0, 0x2a09);
	expect_attention(0, 1, 0x2a09);
	world_resized(&world, 0, 5);
	ck_assert(!fe_ring_ready(&world.event_ring));
	world_down(&world);
}
END_TEST

/* The last block there is, and the one behind it. */
static void expect_end(uint32_t blocks)
{
	static const uint8_t cdb[10] = { 0x25 };
	struct fe_scsi_req *req = world_req(&world, 0, 0, 0, cdb, sizeof(cdb));
	const struct {
		uint32_t lba;
		uint8_t status;
	} reads[] = { { blocks - 1, 0 }, { blocks, 2 } };
	unsigned int ring, i;
	uint32_t last;

	req->in_len = 8;
	ck_assert_int_eq(fe_scsi_run(req), 0);
	memcpy(&last, fe_scsi_in(req), sizeof(last));
	ck_assert_uint_eq(be32toh(last), blocks - 1);
	fe_scsi_put(req);
	for (ring = 0; ring < world.num_rings; ring++) {
		for (i = !blocks; i < ARRAY_SIZE(reads); i++) {
			req = world_read(&world, ring, 0, 0, reads[i].lba, 1);
			ck_assert_int_eq(fe_scsi_run(req), 0);
			ck_assert_uint_eq(fe_scsi_resp(req).status, reads[i].status);
			if (reads[i].status)
				ck_assert_uint_eq(fe_scsi_resp(req).sense[12], 0x21);
			fe_scsi_put(req);
		}
	}
}

/* The image grows and shrinks. */
START_TEST(image_resized)
{
	up(_i);
	world_put_events(&world, WORLD_EVENTS);
	expect_end(WORLD_SECTORS);
	ck_assert_int_eq(world_resize(&world, 0, 0, 2 * WORLD_SECTORS * WORLD_SECTOR), 0);
	expect_event(VIRTIO_SCSI_T_PARAM_CHANGE, 0, 0, 0x092a);
	expect_attention(0, 0, 0x2a09);
	expect_end(2 * WORLD_SECTORS);
	/* Somebody else. */
	ck_assert_int_eq(ftruncate(world.image[0], 100 * WORLD_SECTOR), 0);
	ck_assert_int_eq(world_resize(&world, 0, 0, 0), 0);
	expect_event(VIRTIO_SCSI_T_PARAM_CHANGE, 0, 0, 0x092a);
	expect_attention(0, 0, 0x2a09);
	expect_end(100);
	/* No blocks are left. */
	ck_assert_int_eq(ftruncate(world.image[0], 0), 0);
	ck_assert_int_eq(world_resize(&world, 0, 0, 0), 0);
	expect_event(VIRTIO_SCSI_T_PARAM_CHANGE, 0, 0, 0x092a);
	expect_attention(0, 0, 0x2a09);
	expect_end(0);
	/* Nothing has changed, nothing is told. */
	ck_assert_int_eq(world_resize(&world, 0, 0, 0), 0);
	ck_assert_int_eq(world_resize(&world, 0, 0, 100), -EINVAL);
	ck_assert_int_eq(world_resize(&world, 0, 1, 0), -ENOENT);
	ck_assert_int_eq(world_test(&world, 0, 0), 0);
	ck_assert(!fe_ring_ready(&world.event_ring));
	world_down(&world);
}
END_TEST

/* A write which is in work ends, and the file is cut after it. */
static void *resize_first(void *arg)
{
	int *ret = arg;

	*ret = world_resize(&world, 0, 0, 100 * WORLD_SECTOR);
	return NULL;
}

START_TEST(resized_under_load)
{
	unsigned int i, ring;
	pthread_t thread;
	int ret = -1;

	up(_i);
	ck_assert(!pthread_create(&thread, NULL, resize_first, &ret));
	for (i = 0; i < TAP_TIMES(300); i++) {
		for (ring = 0; ring < world.num_rings; ring++)
			ck_assert_int_eq(fe_scsi_submit(world_write(&world, ring, 0, 0,
						100 + i, 1, (uint8_t)i)), 0);
		for (ring = 0; ring < world.num_rings; ring++) {
			struct fe_scsi_req *req;

			ck_assert_int_eq(fe_scsi_reap(&world.fs[ring], &req, FE_TIMEOUT_MS), 0);
			ck_assert_uint_eq(fe_scsi_resp(req).response, VIRTIO_SCSI_S_OK);
			fe_scsi_put(req);
		}
	}
	pthread_join(thread, NULL);
	ck_assert_int_eq(ret, 0);
	ck_assert_int_eq(lseek(world.image[0], 0, SEEK_END), 100 * WORLD_SECTOR);
	world_take_attentions(&world, 0, 0, NULL, 0);
	world_expect_alive(&world, 0, 0, 0, 0);
	world_down(&world);
}
END_TEST

/* A new driver finds units as after power on, whatever has been before. */
START_TEST(new_driver)
{
	up(_i);
	world_resized(&world, 0, 0);
	world_disconnect(&world);
	world_connect(&world, WORLD_FEATURES, 1);
	expect_attention(0, 0, POWER_ON);
	world_expect_alive(&world, 0, 0, 0, 0);
	ck_assert_int_eq(fe_reset_device(&world.fe), 0);
	world_disconnect(&world);
	world_connect(&world, WORLD_FEATURES, 1);
	expect_attention(0, 0, POWER_ON);
	world_down(&world);
}
END_TEST

/* An attention is for commands, but not for those which ask what there is. */
START_TEST(who_sees_attentions)
{
	static const uint8_t inquiry[6] = { 0x12, 0, 0, 0, 36 }, sense[6] = { 0x03, 0, 0, 0, 18 };
	struct fe_scsi_req *req;

	up(_i);
	world_resized(&world, 0, 0);
	req = world_req(&world, 0, 0, 0, inquiry, 6);
	req->in_len = 36;
	ck_assert_int_eq(fe_scsi_run(req), 0);
	ck_assert_uint_eq(fe_scsi_resp(req).status, 0);
	fe_scsi_put(req);
	req = world_req(&world, 0, 0, 0, sense, 6);
	req->in_len = 18;
	ck_assert_int_eq(fe_scsi_run(req), 0);
	ck_assert_uint_eq(fe_scsi_resp(req).status, 0);
	ck_assert_uint_eq(fe_scsi_in(req)[2] & 0xf, 6);
	ck_assert_uint_eq(fe_scsi_in(req)[12], 0x2a);
	ck_assert_uint_eq(fe_scsi_in(req)[13], 0x09);
	fe_scsi_put(req);
	ck_assert_int_eq(world_test(&world, 0, 0), 0);
	world_down(&world);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("scsi_hotplug");
	TCase *tc = tcase_create("scsi_hotplug");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, come_and_go, 0, 4);
	tcase_add_loop_test(tc, report_luns, 0, 2);
	tcase_add_loop_test(tc, go_in_work, 0, 4);
	tcase_add_loop_test(tc, load, 0, 4);
	tcase_add_loop_test(tc, missed, 0, 4);
	tcase_add_loop_test(tc, short_buffer, 0, 2);
	tcase_add_test(tc, not_asked);
	tcase_add_test(tc, concealed);
	tcase_add_loop_test(tc, buffers_after_stop, 0, 4);
	tcase_add_test(tc, resized);
	tcase_add_loop_test(tc, image_resized, 0, 4);
	tcase_add_loop_test(tc, resized_under_load, 0, 4);
	tcase_add_loop_test(tc, new_driver, 0, 2);
	tcase_add_loop_test(tc, who_sees_attentions, 0, 2);
	suite_add_tcase(suite, tc);
	return tap_main(suite);
}
