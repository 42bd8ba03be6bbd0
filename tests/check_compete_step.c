/* Chapter C: schedules and whole training steps (spec/05-compete.md). */
#include <check.h>
#include <stdlib.h>

int main(void)
{
    Suite *s = suite_create("compete_step");
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
