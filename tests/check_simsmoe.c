/* Tests of chapter S: ref/simsmoe.c against spec/07-simsmoe.md. */
#include <check.h>
#include <stdlib.h>

#include "simsmoe.h"

int main(void)
{
    Suite *s = suite_create("simsmoe");
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
