#include "unit/base/unit.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/crypt.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/secret.h"

/* A new folder for one test; the caller frees the text. */
static char *
scratch(void)
{
    char *folder = mem_strdup("/tmp/millrace-crypt-XXXXXX");
    assert_non_null(mkdtemp(folder));
    return folder;
}

static void
remove_scratch(char *folder)
{
    char *command = mem_printf("rm -rf %s", folder);
    assert_int_equal(system(command), 0);
    free(command);
    free(folder);
}

static void
published_vectors_open(void **state)
{
    /* McGrew and Viega, "The Galois/Counter Mode of Operation", test cases 13, 14 and 16. */
    static const struct {
        const char *key, *nonce, *associated, *plain, *sealed;
    } cases[] = {
        {"0000000000000000000000000000000000000000000000000000000000000000",
         "000000000000000000000000", "", "", "530f8afbc74536b9a963b4f1c4cb738b"},
        {"0000000000000000000000000000000000000000000000000000000000000000",
         "000000000000000000000000", "", "00000000000000000000000000000000",
         "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"},
        {"feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
         "cafebabefacedbaddecaf888", "feedfacedeadbeeffeedfacedeadbeefabaddad2",
         "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
         "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
         "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
         "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
         "76fc6ece0f4e1768cddf8853bb2d551b"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct crypt_key key;
        uint8_t nonce[CRYPT_NONCE_LEN], associated[64], plain[128], sealed[128];
        struct buf out = {0};
        struct err e;
        size_t associated_len = strlen(cases[i].associated) / 2;
        size_t plain_len = strlen(cases[i].plain) / 2;
        assert_true(hex_decode(cases[i].key, key.bytes, sizeof(key.bytes)));
        assert_true(hex_decode(cases[i].nonce, nonce, sizeof(nonce)));
        assert_true(hex_decode(cases[i].associated, associated, associated_len));
        assert_true(hex_decode(cases[i].plain, plain, plain_len));
        assert_true(hex_decode(cases[i].sealed, sealed, plain_len + CRYPT_TAG_LEN));
        assert_true(crypt_open(&key, nonce, bytes_of(sealed, plain_len + CRYPT_TAG_LEN),
                               bytes_of(associated, associated_len), &out, &e));
        assert_true(bytes_eq(buf_bytes(&out), bytes_of(plain, plain_len)));
        buf_free(&out);
    }
}

static void
any_changed_bit_keeps_a_secret_closed(void **state)
{
    struct crypt_key key;
    uint8_t nonce[CRYPT_NONCE_LEN];
    uint8_t associated[] = "task|host|3306|user";
    struct bytes about = bytes_of(associated, sizeof(associated) - 1);
    struct buf sealed = {0};
    struct buf plain = {0};
    struct err e;
    random_bytes(key.bytes, sizeof(key.bytes));
    assert_true(crypt_seal(&key, BYTES_LIT("hunter2"), about, nonce, &sealed, &e));
    assert_int_equal(sealed.n, 7 + CRYPT_TAG_LEN);
    assert_null(memmem(sealed.p, sealed.n, "hunter2", 7));
    struct {
        uint8_t *p;
        size_t n;
    } parts[] = {{key.bytes, sizeof(key.bytes)},
                 {nonce, sizeof(nonce)},
                 {associated, sizeof(associated) - 1},
                 {sealed.p, sealed.n}};
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        for (size_t bit = 0; bit < parts[i].n * 8; bit++) {
            parts[i].p[bit / 8] ^= (uint8_t)(1 << bit % 8);
            assert_false(crypt_open(&key, nonce, buf_bytes(&sealed), about, &plain, &e));
            assert_int_equal(e.code, MR_SECRET);
            assert_int_equal(plain.n, 0);
            parts[i].p[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
    }
    for (size_t n = 0; n < sealed.n; n++)
        assert_false(crypt_open(&key, nonce, bytes_of(sealed.p, n), about, &plain, &e));
    assert_true(crypt_open(&key, nonce, buf_bytes(&sealed), about, &plain, &e));
    assert_text(&plain, "hunter2");
    buf_free(&sealed);
    buf_free(&plain);
}

static void
two_seals_of_one_secret_differ(void **state)
{
    struct crypt_key key = {{1}};
    uint8_t one[CRYPT_NONCE_LEN], two[CRYPT_NONCE_LEN];
    struct buf a = {0};
    struct buf b = {0};
    struct err e;
    assert_true(crypt_seal(&key, BYTES_LIT("x"), BYTES_LIT(""), one, &a, &e));
    assert_true(crypt_seal(&key, BYTES_LIT("x"), BYTES_LIT(""), two, &b, &e));
    assert_memory_not_equal(one, two, sizeof(one));
    assert_false(bytes_eq(buf_bytes(&a), buf_bytes(&b)));
    buf_free(&a);
    buf_free(&b);
}

static void
a_key_file_is_made_once_and_only_for_its_owner(void **state)
{
    char *folder = scratch();
    char *path = mem_printf("%s/a/b/key", folder);
    struct crypt_key one, two;
    struct err e;
    struct stat st;
    assert_false(crypt_key_load(path, false, &one, &e));
    assert_int_equal(e.code, MR_SECRET);
    assert_true(crypt_key_load(path, true, &one, &e));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(st.st_size, 2 + 64 + 1);
    assert_true(crypt_key_load(path, true, &two, &e));
    assert_memory_equal(&one, &two, sizeof(one));
    chmod(path, 0640);
    assert_false(crypt_key_load(path, true, &two, &e));
    assert_int_equal(e.code, MR_SECRET);
    free(path);
    remove_scratch(folder);
}

static void
a_key_file_of_another_form_is_refused(void **state)
{
    char *folder = scratch();
    char *path = mem_printf("%s/key", folder);
#define HEX "00112233445566778899aabbccddeeff00112233445566778899aabbccddee"
    static const char *const forms[] = {"1 " HEX "ff\n",   "2 " HEX "ff\n", "1 " HEX "ff",
                                        "1 " HEX "ff0\n",  HEX "ff\n",      "1 " HEX "fx\n",
                                        "1 " HEX "ff\n\n", "1 " HEX "f\n"};
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        struct crypt_key key;
        struct err e;
        assert_true(file_write(path, bytes_str(forms[i]), 0600, &e));
        assert_int_equal(crypt_key_load(path, true, &key, &e), i == 0);
        if (i == 0)
            assert_int_equal(key.bytes[31], 0xff);
        else
            assert_null(strstr(e.text, "0011"));
    }
    free(path);
    remove_scratch(folder);
}

static void
the_setting_names_the_key_file_before_the_home_folder(void **state)
{
    char out[64];
    struct err e;
    assert_true(crypt_key_path("/x/key", out, sizeof(out), &e));
    assert_string_equal(out, "/x/key");
    setenv("HOME", "/home/someone", 1);
    if (!file_exists("/etc/millrace/key")) {
        assert_true(crypt_key_path("", out, sizeof(out), &e));
        assert_string_equal(out, "/home/someone/.config/millrace/key");
        assert_false(crypt_key_path("", out, 10, &e));
        unsetenv("HOME");
        assert_false(crypt_key_path("", out, sizeof(out), &e));
    }
}

static void
references_give_what_they_name(void **state)
{
    char *folder = scratch();
    char *path = mem_printf("%s/pw", folder);
    char *reference = mem_printf("${file:%s}", path);
    struct buf out = {0};
    struct err e;
    setenv("MILLRACE_TEST_SECRET", "from env", 1);
    assert_true(secret_resolve("${env:MILLRACE_TEST_SECRET}", &out, &e));
    assert_text(&out, "from env");
    buf_reset(&out);
    assert_true(file_write(path, BYTES_LIT("line\n\r\n"), 0600, &e));
    assert_true(secret_resolve(reference, &out, &e));
    assert_text(&out, "line\n");
    buf_reset(&out);
    assert_true(secret_resolve("plain${", &out, &e));
    assert_text(&out, "plain${");
    assert_false(secret_resolve("${env:MILLRACE_NO_SUCH}", &out, &e));
    assert_int_equal(e.code, MR_SECRET);
    assert_non_null(strstr(e.text, "MILLRACE_NO_SUCH"));
    assert_false(secret_resolve("${file:/nonexistent/x}", &out, &e));
    assert_int_equal(e.code, MR_SECRET);
    assert_true(secret_is_reference(reference));
    assert_false(secret_is_reference("${env:}"));
    assert_false(secret_is_reference("${env:A}x"));
    assert_false(secret_is_reference("x${env:A}"));
    assert_false(secret_is_reference("${env:A"));
    assert_false(secret_is_reference("${vault:A}"));
    buf_free(&out);
    free(reference);
    free(path);
    remove_scratch(folder);
}

static void
files_are_replaced_whole_and_made_only_once(void **state)
{
    char *folder = scratch();
    char *path = mem_printf("%s/f", folder);
    struct buf out = {0};
    struct err e;
    bool made;
    assert_true(file_make(path, BYTES_LIT("one"), 0644, &made, &e) && made);
    assert_true(file_make(path, BYTES_LIT("two"), 0644, &made, &e) && !made);
    assert_true(file_read(path, 3, &out, &e));
    assert_text(&out, "one");
    assert_true(file_write(path, BYTES_LIT("three"), 0644, &e));
    buf_reset(&out);
    assert_false(file_read(path, 4, &out, &e));
    assert_int_equal(e.code, MR_IO);
    buf_reset(&out);
    assert_true(file_read(path, 5, &out, &e));
    assert_text(&out, "three");
    assert_false(file_read(folder, 5, &out, &e));
    assert_true(file_make_folder(folder, &e));
    assert_false(file_make_folder(path, &e));
    assert_false(file_write("/nonexistent/x", BYTES_LIT(""), 0600, &e));
    assert_int_equal(e.code, MR_IO);
    char *command = mem_printf("test \"$(ls %s)\" = f", folder);
    assert_int_equal(system(command), 0); /* no temporary file is left */
    free(command);
    buf_free(&out);
    free(path);
    remove_scratch(folder);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_vectors_open),
        cmocka_unit_test(any_changed_bit_keeps_a_secret_closed),
        cmocka_unit_test(two_seals_of_one_secret_differ),
        cmocka_unit_test(a_key_file_is_made_once_and_only_for_its_owner),
        cmocka_unit_test(a_key_file_of_another_form_is_refused),
        cmocka_unit_test(the_setting_names_the_key_file_before_the_home_folder),
        cmocka_unit_test(references_give_what_they_name),
        cmocka_unit_test(files_are_replaced_whole_and_made_only_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
