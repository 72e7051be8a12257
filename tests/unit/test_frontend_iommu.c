/* SPDX-License-Identifier: BSD-3-Clause */
/* The front-end library as IOMMU: the table, rings behind it, misses and their answers. */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>

#include "fe_iommu.h"
#include "frontend_peer.h"
#include "tap.h"

#define PAGE		UINT64_C(4096)
#define GPA		UINT64_C(0x100000)
#define IOVA		UINT64_C(0xffff00000000)
#define UVA		UINT64_C(0x50000000)
#define END		(GPA + 64 * PAGE)
#define LAST		(UINT64_MAX - PAGE + 1)	/* page of all addresses */

static struct fe_mem mem;
static struct fe_iommu iommu;
static struct fe chan;			/* the back-end's end of its channel */

static void setup(void)
{
	const struct fe_region_params params = { .gpa = GPA, .size = 64 * PAGE, .uva = UVA };
	int other;

	peer_setup();
	ck_assert_int_eq(fe_pair(&chan, &other), 0);
	fe.backend_fd = other;
	chan.timeout_ms = SHORT_MS;
	iommu = (struct fe_iommu){ 0 };
	mem = (struct fe_mem){ 0 };
	ck_assert_int_eq(fe_mem_add(&mem, &params), 0);
}

static void teardown(void)
{
	fe_iommu_free(&iommu);
	fe_mem_free(&mem);
	fe_close(&chan);
	peer_teardown();
}

START_TEST(translations)
{
	uint8_t *p = mem.regions[0].ptr;
	const struct fe_iommu_entry *e;

	ck_assert_int_eq(fe_iommu_map(&iommu, &mem, IOVA, GPA + PAGE, 2 * PAGE, VU_IOTLB_RO), 0);
	ck_assert_int_eq(fe_iommu_map(&iommu, &mem, LAST, GPA, PAGE, VU_IOTLB_RW), 0);
	ck_assert_int_eq(fe_iommu_map(&iommu, &mem, 0, GPA, 0, VU_IOTLB_RW), -EINVAL);
	ck_assert_int_eq(fe_iommu_map(&iommu, &mem, UINT64_MAX, GPA, 2, VU_IOTLB_RW), -EINVAL);
	ck_assert_int_eq(fe_iommu_map(&iommu, &mem, 0, END - 1, 2, VU_IOTLB_RW), -EFAULT);
	ck_assert_int_eq(fe_iommu_map(&iommu, &mem, IOVA - 1, GPA, 2, VU_IOTLB_RW), -EEXIST);
	ck_assert_int_eq(fe_iommu_map(&iommu, &mem, IOVA + 2 * PAGE - 1, GPA, 1, VU_IOTLB_RW),
			 -EEXIST);
	ck_assert_int_eq(fe_iommu_map(&iommu, &mem, IOVA + 2 * PAGE, GPA, 1, VU_IOTLB_RW), 0);

	e = fe_iommu_find(&iommu, IOVA + PAGE);
	ck_assert_ptr_nonnull(e);
	ck_assert(e->iova == IOVA && e->uva == UVA + PAGE && e->ptr == p + PAGE);
	ck_assert_ptr_null(fe_iommu_find(&iommu, IOVA - 1));
	ck_assert_ptr_nonnull(fe_iommu_find(&iommu, UINT64_MAX));
	ck_assert_uint_eq(fe_iommu_addr(&iommu, p + PAGE + 5, 2 * PAGE - 5), IOVA + 5);
	ck_assert_uint_eq(fe_iommu_addr(&iommu, p + PAGE + 5, 2 * PAGE - 4), UINT64_MAX);
	ck_assert_uint_eq(fe_iommu_addr(&iommu, p + 3 * PAGE, 1), UINT64_MAX);

	fe_iommu_unmap(&iommu, IOVA + PAGE, 1);
	ck_assert_ptr_null(fe_iommu_find(&iommu, IOVA));
	ck_assert_uint_eq(iommu.num, 2);
	fe_iommu_unmap(&iommu, 0, UINT64_MAX - PAGE + 1);
	ck_assert_uint_eq(iommu.num, 1);
	fe_iommu_unmap(&iommu, 0, UINT64_MAX);
	ck_assert_uint_eq(iommu.num, 0);
}
END_TEST

/* All that the device gets to see of a ring is IOVAs. */
START_TEST(ring_behind)
{
	const bool packed = _i;
	struct fe_ring ring;
	struct vu_vring_addr addr;
	struct iovec iov[2];
	uint64_t first[2], table;
	int id;

	ck_assert_int_eq(fe_iommu_map_region(&iommu, &mem, 0, IOVA), 0);
	ck_assert_int_eq(fe_ring_init(&ring, &mem, &(struct fe_ring_params){
		.size = 8, .iommu = &iommu, .indirect = 2,
		.features = FE_BIT(VIRTIO_RING_F_INDIRECT_DESC) |
			    (packed ? FE_BIT(VIRTIO_F_RING_PACKED) : 0) }), 0);
	fe_ring_get_addr(&ring, &addr);
	ck_assert_uint_eq(addr.desc, IOVA);
	ck_assert_uint_eq(addr.avail, IOVA + 128);
	ck_assert_uint_eq(addr.used - IOVA,
			  (uint64_t)((uint8_t *)ring.device_area - mem.regions[0].ptr));
	iov[0] = (struct iovec){ mem.regions[0].ptr + 10 * PAGE, 100 };
	iov[1] = (struct iovec){ mem.regions[0].ptr + 11 * PAGE, 100 };
	id = fe_ring_add(&ring, iov, 1, NULL, 0, &ring);
	ck_assert_int_eq(id, 0);
	memcpy(first, ring.desc_area, 8);
	ck_assert_uint_eq(first[0], IOVA + 10 * PAGE);
	id = fe_ring_add(&ring, iov, 1, &iov[1], 1, &ring);
	ck_assert_int_eq(id, 1);
	memcpy(&table, (uint8_t *)ring.desc_area + 16, 8);
	ck_assert_uint_eq(table - IOVA,
			  (uint64_t)((uint8_t *)&ring.tables[2] - mem.regions[0].ptr));
	memcpy(first, &ring.tables[2], 8);
	memcpy(&first[1], &ring.tables[3], 8);
	ck_assert_uint_eq(first[0], IOVA + 10 * PAGE);
	ck_assert_uint_eq(first[1], IOVA + 11 * PAGE);

	/* What the table does not know goes nowhere; what is given as address goes as it is. */
	iov[0].iov_base = &ring;
	ck_assert_int_eq(fe_ring_add(&ring, iov, 1, NULL, 0, &ring), -EFAULT);
	ring.flags |= FE_RING_ADDR;
	iov[0].iov_base = (void *)0x123456789a;
	ck_assert_int_eq(fe_ring_add(&ring, iov, 1, NULL, 0, &ring), 2);
	memcpy(first, (uint8_t *)ring.desc_area + 32, 8);
	ck_assert_uint_eq(first[0], 0x123456789a);
	fe_ring_free(&ring);
}
END_TEST

/* A request of the back-end: no name of a field is right by chance. */
static void ask(uint8_t type, uint64_t iova, uint8_t perm, bool need_reply)
{
	const struct vu_header hdr = { 1, need_reply ? 0x9 : 0x1, 32 };
	uint8_t payload[32] = { 0 };

	memcpy(payload, &iova, 8);
	payload[8] = 1;
	payload[24] = perm;
	payload[25] = type;
	ck_assert_int_eq(fe_send_raw(&chan, &hdr, payload, 32, NULL, 0), 0);
}

static void check_ack(uint64_t value)
{
	struct fe_msg msg;

	ck_assert_int_eq(fe_recv_raw(&chan, &msg), 0);
	ck_assert_uint_eq(msg.hdr.request, 1);
	ck_assert_uint_eq(msg.hdr.flags, 5);
	ck_assert_uint_eq(msg.u.u64, value);
}

static void check_told(uint8_t type, uint64_t iova, uint64_t size, uint64_t uva, uint8_t perm)
{
	const uint64_t words[4] = { iova, size, uva, (uint64_t)type << 8 | perm };
	const struct fe_msg *msg = asked(22, 0x9, 32, 0);

	ck_assert_mem_eq(msg->u.bytes, words, 32);
}

START_TEST(serve)
{
	struct fe_msg msg;

	fe_iommu_map(&iommu, &mem, IOVA, GPA, 8 * PAGE, VU_IOTLB_RW);
	fe_iommu_map(&iommu, &mem, IOVA + 8 * PAGE, GPA, PAGE, VU_IOTLB_RO);
	answer_u64(22, 0);
	ask(1, IOVA + 3 * PAGE + 17, 3, true);
	ck_assert_int_eq(fe_iommu_serve(&fe, &iommu, SHORT_MS), 1);
	check_told(2, IOVA, 8 * PAGE, UVA, 3);
	check_ack(0);

	iommu.granule = PAGE;
	answer_u64(22, 0);
	ask(1, IOVA + 3 * PAGE + 17, 1, false);
	ck_assert_int_eq(fe_iommu_serve(&fe, &iommu, SHORT_MS), 1);
	check_told(2, IOVA + 3 * PAGE, PAGE, UVA + 3 * PAGE, 3);
	ck_assert_int_eq(fe_recv_raw(&chan, &msg), -ETIMEDOUT);
	ck_assert_uint_eq(iommu.misses, 2);

	/* Not there, or not with this permission. */
	ask(1, IOVA - 1, 1, true);
	ck_assert_int_eq(fe_iommu_serve(&fe, &iommu, SHORT_MS), 0);
	check_ack(1);
	ask(1, IOVA + 8 * PAGE, 2, true);
	ck_assert_int_eq(fe_iommu_serve(&fe, &iommu, SHORT_MS), 0);
	check_ack(1);
	asked_nothing();
	ck_assert_uint_eq(iommu.faults, 2);

	ask(4, IOVA, 2, true);
	ck_assert_int_eq(fe_iommu_serve(&fe, &iommu, SHORT_MS), 0);
	check_ack(0);
	ck_assert_uint_eq(iommu.access_fails, 1);

	/* The back-end refuses what it has asked for. */
	answer_u64(22, 1);
	ask(1, IOVA, 1, true);
	ck_assert_int_eq(fe_iommu_serve(&fe, &iommu, SHORT_MS), -EIO);
	check_ack(1);
	ck_assert_int_eq(fe_iommu_serve(&fe, &iommu, SHORT_MS), -ETIMEDOUT);
}
END_TEST

/* A granule does not reach beyond the translation. */
START_TEST(granule)
{
	iommu.granule = 4 * PAGE;
	fe_iommu_map(&iommu, &mem, IOVA + PAGE, GPA, 2 * PAGE, VU_IOTLB_RW);
	fe_iommu_map(&iommu, &mem, UINT64_MAX - PAGE + 1, GPA, PAGE, VU_IOTLB_RW);
	answer_u64(22, 0);
	ask(1, IOVA + 2 * PAGE, 1, false);
	ck_assert_int_eq(fe_iommu_serve(&fe, &iommu, SHORT_MS), 1);
	check_told(2, IOVA + PAGE, 2 * PAGE, UVA, 3);
	answer_u64(22, 0);
	ask(1, UINT64_MAX, 1, false);
	ck_assert_int_eq(fe_iommu_serve(&fe, &iommu, SHORT_MS), 1);
	check_told(2, UINT64_MAX - PAGE + 1, PAGE, UVA, 3);
}
END_TEST

START_TEST(push_and_invalidate)
{
	fe_iommu_map(&iommu, &mem, IOVA, GPA, PAGE, VU_IOTLB_RW);
	fe_iommu_map(&iommu, &mem, IOVA + PAGE, GPA + PAGE, PAGE, VU_IOTLB_WO);
	answer_u64(22, 0);
	answer_u64(22, 0);
	ck_assert_int_eq(fe_iommu_push(&fe, &iommu), 0);
	check_told(2, IOVA, PAGE, UVA, 3);
	check_told(2, IOVA + PAGE, PAGE, UVA + PAGE, 2);
	answer_u64(22, 0);
	ck_assert_int_eq(fe_iommu_invalidate(&fe, &iommu, IOVA, PAGE), 0);
	check_told(3, IOVA, PAGE, 0, 0);
	ck_assert_uint_eq(iommu.num, 1);
}
END_TEST

static struct fe_ring ring;

/* A device which needs one translation before it uses a chain. */
static void *device(void *arg)
{
	struct fe_msg msg;

	(void)arg;
	ask(1, IOVA, 3, true);
	be.timeout_ms = chan.timeout_ms = 10000;
	ck_assert_int_eq(fe_recv_raw(&be, &msg), 0);
	answer_u64(22, 0);
	check_ack(0);
	ring.split.used->ring[0] = (struct vring_used_elem){ 0, 0 };
	__atomic_store_n(&ring.split.used->idx, 1, __ATOMIC_RELEASE);
	eventfd_write(ring.call_fd, 1);
	return NULL;
}

START_TEST(ring_wait)
{
	struct iovec iov = { mem.regions[0].ptr + 10 * PAGE, 100 };
	pthread_t thread;
	void *cookie;
	uint32_t len;

	fe.timeout_ms = 10000;
	fe_iommu_map_region(&iommu, &mem, 0, IOVA);
	ck_assert_int_eq(fe_ring_init(&ring, &mem, &(struct fe_ring_params){
		.size = 8, .iommu = &iommu }), 0);
	ck_assert_int_eq(fe_ring_add(&ring, &iov, 1, NULL, 0, &ring), 0);
	ck_assert_int_eq(fe_iommu_ring_wait(&fe, &iommu, &ring, SHORT_MS), -ETIMEDOUT);
	pthread_create(&thread, NULL, device, NULL);
	ck_assert_int_eq(fe_iommu_ring_wait(&fe, &iommu, &ring, 10000), 0);
	pthread_join(thread, NULL);
	ck_assert_int_eq(fe_ring_get(&ring, &cookie, &len), 1);
	ck_assert_uint_eq(iommu.misses, 1);
	eventfd_write(ring.err_fd, 1);
	fe_ring_signalled(&ring);
	ck_assert_int_eq(fe_iommu_ring_wait(&fe, &iommu, &ring, 10000), -EIO);
	fe_ring_free(&ring);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("frontend-iommu");
	TCase *tc = tcase_create("iommu");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, translations);
	tcase_add_loop_test(tc, ring_behind, 0, 2);
	tcase_add_test(tc, serve);
	tcase_add_test(tc, granule);
	tcase_add_test(tc, push_and_invalidate);
	tcase_add_test(tc, ring_wait);
	suite_add_tcase(suite, tc);
	return tap_main(suite);
}
