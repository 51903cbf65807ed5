# What the build user runs in a chroot: build.sh source | requires | more-requires | build | probe, and then what the job wants
# rpmbuild to be told. Those words come from a user: they stay arguments, and what we define ourselves comes after them and wins.
#
# Exit codes: 0 done; 64 no spec, 65 several specs, 66 the source package does not unpack; 100 + n: rpmbuild ended with n.
# Anything else: this script was not started or was killed.
cd /builddir || exit 67
[ "$1" != probe ] || exit 0
rpmbuild=(
    rpmbuild
    "${@:2}"
    --define '_topdir /builddir/build'
    --define '_buildhost farm'
    --define 'source_date_epoch_from_changelog 1'
    --define 'use_source_date_epoch_as_buildtime 1'
    --define 'clamp_mtime_to_source_date_epoch 1'
)
if [ "$1" = source ]; then
    rpm -i --nodeps --define '_topdir /builddir/build' source.src.rpm || exit 66
fi
shopt -s nullglob dotglob
specs=(build/SPECS/*.spec)
[ ${#specs[@]} -gt 0 ] || exit 64
[ ${#specs[@]} -eq 1 ] || exit 65
case $1 in
    source) "${rpmbuild[@]}" -bs --nodeps -- "${specs[0]}" ;;
    requires) "${rpmbuild[@]}" -br -- "${specs[0]}" ;;
    more-requires) "${rpmbuild[@]}" -br --noprep -- "${specs[0]}" ;;
    build) "${rpmbuild[@]}" -bb --noclean -- "${specs[0]}" ;;
esac
status=$?
[ $status -eq 0 ] || exit $((100 + status))
