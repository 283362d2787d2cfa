"""People, whom all generated tasks share: those seen in training, and those kept for the out-of-domain split."""

from holdfast.tasks.playground.grammar import entries

PEOPLE = entries("""
    teacher/teachers, lawyer/lawyers, doctor/doctors, guard/guards, pilot/pilots, farmer/farmers, singer/singers,
    nurse/nurses, baker/bakers, clerk/clerks, painter/painters, officer/officers, dancer/dancers, student/students,
    waiter/waiters, driver/drivers, tailor/tailors, banker/bankers, judge/judges, plumber/plumbers,
    manager/managers, child/children, woman/women, man/men, neighbour/neighbours, visitor/visitors
""")

NEW_PEOPLE = entries("""
    carpenter/carpenters, poet/poets, sailor/sailors, gardener/gardeners, chemist/chemists, editor/editors,
    runner/runners, librarian/librarians, soldier/soldiers, actor/actors, mechanic/mechanics, queen/queens,
    butcher/butchers, thief/thieves, tourist/tourists, policeman/policemen, florist/florists, tutor/tutors
""")
