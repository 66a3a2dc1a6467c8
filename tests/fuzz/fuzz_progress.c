/* Any bytes as a record of the progress topic or a checkpoint: refused or decoded, never read
 * past. What decodes is written again and must then say the same; it is also fed to a view and
 * a gate. First byte: length of the key; a first byte of 255: a checkpoint.
 */
#include <stdlib.h>

#include "apply/gate.h"
#include "task/checkpoint.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
fuzz_checkpoint(struct bytes text)
{
    struct checkpoint a, b;
    struct buf first = {0}, second = {0};
    struct err e;
    checkpoint_init(&a, 0);
    checkpoint_init(&b, 0);
    if (checkpoint_decode(text, &a, &e)) {
        checkpoint_encode(&a, &first);
        if (!checkpoint_decode(buf_bytes(&first), &b, &e))
            abort();
        checkpoint_encode(&b, &second);
        if (!bytes_eq(buf_bytes(&first), buf_bytes(&second)))
            abort();
    }
    checkpoint_free(&a);
    checkpoint_free(&b);
    buf_free(&first);
    buf_free(&second);
}

static void
write_again(const struct progress_record *r, struct arena *a)
{
    struct buf k[2] = {{0}}, v[2] = {{0}};
    struct progress_record again;
    struct err e;
    progress_encode(r, &k[0], &v[0]);
    if (!progress_decode(buf_bytes(&k[0]), buf_bytes(&v[0]), a, &again, &e))
        abort();
    progress_encode(&again, &k[1], &v[1]);
    if (!bytes_eq(buf_bytes(&k[0]), buf_bytes(&k[1])) ||
        !bytes_eq(buf_bytes(&v[0]), buf_bytes(&v[1])))
        abort();
    progress_record_free(&again);
    for (int i = 0; i < 2; i++) {
        buf_free(&k[i]);
        buf_free(&v[i]);
    }
}

static void
read_record(const struct progress_record *r)
{
    enum progress_verdict verdict;
    struct gate_decision d;
    struct err e;
    struct gate *g = gate_new(&(struct gate_conf){.inc = r->inc});
    uint32_t t = gate_table_add(g, "t", (struct cut_id){0, 0});
    gate_part_add(g, t, 0, (struct gate_last){-1, 0, 0});
    gate_assume(g, (struct cut_id){r->epoch, r->prev.seq});
    if (gate_progress(g, r, (struct progress_at){1, true}, &verdict, &e))
        (void)!gate_decide(g, t, false, &d, &e);
    gate_free(g);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct progress_record r;
    struct arena a;
    struct err e;
    if (size == 0)
        return 0;
    if (data[0] == 255) {
        fuzz_checkpoint(bytes_of(data + 1, size - 1));
        return 0;
    }
    size_t n = data[0] < size - 1 ? data[0] : size - 1;
    arena_init(&a, 0);
    if (progress_decode(bytes_of(data + 1, n), bytes_of(data + 1 + n, size - 1 - n), &a, &r,
                        &e)) {
        write_again(&r, &a);
        read_record(&r);
    }
    progress_record_free(&r);
    arena_free(&a);
    return 0;
}
