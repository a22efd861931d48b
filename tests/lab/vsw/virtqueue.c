/* virtqueue.c: see virtqueue.h. */
#include "virtqueue.h"

#include <endian.h>

enum { DESC_ALIGN = 16, AVAIL_ALIGN = 2, USED_ALIGN = 4 };

static uint16_t load_u16(const __virtio16 *p) {
    return le16toh(__atomic_load_n(p, __ATOMIC_ACQUIRE));
}

static bool is_aligned(const void *p, uintptr_t to) {
    return ((uintptr_t)p & (to - 1)) == 0;
}

int vq_bind(struct virtqueue *vq, const struct guest_mem *mem, struct err *err) {
    vq->desc = NULL;
    vq->avail = NULL;
    vq->used = NULL;
    if (vq->num == 0 || vq->desc_user == 0 || vq->avail_user == 0 || vq->used_user == 0 || mem->count == 0)
        return 0;
    const void *desc = guest_mem_at_user(mem, vq->desc_user, sizeof(struct vring_desc) * vq->num);
    void *avail =
        guest_mem_at_user(mem, vq->avail_user, sizeof(struct vring_avail) + sizeof(__virtio16) * vq->num);
    void *used = guest_mem_at_user(mem, vq->used_user,
                                   sizeof(struct vring_used) + sizeof(struct vring_used_elem) * vq->num);
    if (!desc || !avail || !used)
        return err_set(err, EXIT_PROTOCOL, "ring of %u is not inside the guest's memory", vq->num);
    if (!is_aligned(desc, DESC_ALIGN) || !is_aligned(avail, AVAIL_ALIGN) || !is_aligned(used, USED_ALIGN))
        return err_set(err, EXIT_PROTOCOL, "ring of %u is not aligned", vq->num);
    vq->desc = desc;
    vq->avail = avail;
    vq->used = used;
    vq->next_used = load_u16(&vq->used->idx);
    return 0;
}

bool vq_is_ready(const struct virtqueue *vq) {
    return vq->desc && vq->is_started && vq->is_enabled;
}

static int add_segment(const struct virtqueue *vq, const struct guest_mem *mem, enum vq_way way,
                       uint16_t index, struct vq_chain *chain, struct vring_desc *ret, struct err *err) {
    if (index >= vq->num)
        return err_set(err, EXIT_PROTOCOL, "descriptor %u of a ring of %u", index, vq->num);
    if (chain->count == VQ_SEGS_MAX)
        return err_set(err, EXIT_PROTOCOL, "chain of more than %d descriptors", VQ_SEGS_MAX);
    const volatile struct vring_desc *d = &vq->desc[index];
    uint64_t addr = le64toh(d->addr);
    uint32_t bytes = le32toh(d->len);
    ret->flags = le16toh(d->flags);
    ret->next = le16toh(d->next);
    if (ret->flags & VRING_DESC_F_INDIRECT)
        return err_set(err, EXIT_PROTOCOL, "indirect descriptor, which is not offered");
    if (!(ret->flags & VRING_DESC_F_WRITE) != (way == VQ_READABLE))
        return err_set(err, EXIT_PROTOCOL, "descriptor is %s",
                       way == VQ_READABLE ? "writable" : "only readable");
    if (bytes == 0 || bytes > VQ_CHAIN_BYTES_MAX - chain->bytes)
        return err_set(err, EXIT_PROTOCOL, "descriptor of %u bytes", bytes);
    uint8_t *at = guest_mem_at(mem, addr, bytes);
    if (!at)
        return err_set(err, EXIT_PROTOCOL, "%u bytes at %#llx are not in the guest's memory", bytes,
                       (unsigned long long)addr);
    chain->seg[chain->count++] = (struct vq_seg){.at = at, .bytes = bytes};
    chain->bytes += bytes;
    return 0;
}

int vq_peek(const struct virtqueue *vq, const struct guest_mem *mem, enum vq_way way, struct vq_chain *ret,
            struct err *err) {
    if (!vq_is_ready(vq))
        return 0;
    unsigned waiting = (uint16_t)(load_u16(&vq->avail->idx) - vq->next_avail);
    if (waiting == 0)
        return 0;
    if (waiting > vq->num - vq->taken)
        return err_set(err, EXIT_PROTOCOL, "%u chains wait and %u are taken in a ring of %u", waiting,
                       vq->taken, vq->num);
    uint16_t index = load_u16(&vq->avail->ring[vq->next_avail % vq->num]);
    struct vring_desc d = {.flags = VRING_DESC_F_NEXT, .next = index};
    ret->head = index;
    ret->count = 0;
    ret->bytes = 0;
    while (d.flags & VRING_DESC_F_NEXT)
        if (add_segment(vq, mem, way, d.next, ret, &d, err) != 0)
            return -1;
    return 1;
}

void vq_take(struct virtqueue *vq) {
    vq->next_avail++;
    vq->taken++;
}

void vq_complete(struct virtqueue *vq, uint16_t head, uint32_t written) {
    struct vring_used_elem *e = &vq->used->ring[vq->next_used % vq->num];
    e->id = htole32(head);
    e->len = htole32(written);
    vq->next_used++;
    vq->taken--;
    __atomic_store_n(&vq->used->idx, htole16(vq->next_used), __ATOMIC_RELEASE);
}

bool vq_wants_call(const struct virtqueue *vq) {
    if (!vq->avail)
        return false;
    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* the guest switches interrupts on, then looks at used->idx */
    return !(load_u16(&vq->avail->flags) & VRING_AVAIL_F_NO_INTERRUPT);
}

void vq_want_kicks(struct virtqueue *vq, bool wanted) {
    if (!vq->used)
        return;
    __atomic_store_n(&vq->used->flags, htole16(wanted ? 0 : VRING_USED_F_NO_NOTIFY), __ATOMIC_RELAXED);
    if (wanted)
        __atomic_thread_fence(__ATOMIC_SEQ_CST); /* before the caller looks at avail->idx once more */
}

bool vq_has_chains(const struct virtqueue *vq) {
    return vq_is_ready(vq) && load_u16(&vq->avail->idx) != vq->next_avail;
}
