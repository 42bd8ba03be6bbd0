/* Tests of chapter T: ref/convergence.c against spec/08-convergence.md. */
#include <check.h>
#include <stdlib.h>

#include "convergence.h"

int main(void)
{
    Suite *s = suite_create("convergence");
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
