
# --- parameters

# The form of every parameter. A service's name must not be a prefix of container IDs, by which docker
# would find another container.
readonly NAME='[a-z][a-z0-9]*(-[a-z0-9]+)*' NUMBER='[1-9][0-9]{0,11}' TIME='[1-9][0-9]{0,5}' SWITCH='(true|false)'
declare -rA FORMS=(
  ['service']='([a-z][a-z0-9]*(-[a-z0-9]+)+|([g-z]|[a-f][a-f0-9]*[g-z])[a-z0-9]*)'
  ['deployment']='[A-Za-z0-9-]{1,64}'
  ['about']='[A-Za-z0-9-]{1,64}'
  ['version']="(0|[1-9][0-9]*)\\.(0|[1-9][0-9]*)\\.(0|[1-9][0-9]*)-$NAME"
  ['image']='[a-z0-9.:-]+(/[a-z0-9._-]+)+@sha256:[0-9a-f]{64}'
  ['image-bytes']="(0|$NUMBER)"
  ['region']='[a-z]{2,8}(-[a-z]{1,16}){1,3}-[0-9]{1,2}'
  ['bundle']='s3://[a-z0-9.-]+/[A-Za-z0-9._/=-]+'
  ['sha256']='[0-9a-f]{64}'
  ['not-after']="$NUMBER"
  ['generation']='([1-9][0-9]{0,8}|1000000000)'
  ['allow-downgrade']="$SWITCH"
  ['allow-quarantined']="$SWITCH"
  ['rollback']="$SWITCH"
  ['on-running']='(wait|kill)'
  ['drain-timeout']="(0|$TIME)"
  ['run-on-deploy']="$SWITCH"
  ['health-command']='[^[:cntrl:]]{1,1000}'
  ['health-url']='http://[^[:cntrl:][:space:]]{1,500}'
  ['health-timeout']="$TIME"
  ['min-healthy-time']="$TIME"
  ['keep-releases']='[1-9][0-9]{0,2}'
  ['live-log']="$SWITCH"
  ['settings-from']='(/[A-Za-z0-9_.-]+){1,14}/?'
  ['allow-env-file']="$SWITCH"
)
# The parameters that a command requires.
readonly RELEASE_NEEDS="service deployment version image image-bytes region bundle sha256 not-after allow-downgrade allow-quarantined rollback \
  on-running drain-timeout run-on-deploy health-timeout min-healthy-time keep-releases"
declare -rA NEEDED=(
  ['deploy']="$RELEASE_NEEDS"
  ['check']="$RELEASE_NEEDS"
  ['rollback']='service deployment not-after'
  ['status']='service'
  ['doctor']='service deployment region'
)
declare -A GIVEN=()

read_parameters() {
  local parameter name form
  COMMAND=${1:-}
  (($# == 0)) || shift
  for parameter; do
    name=${parameter%%=*}
    name=${name#--}
    [[ $parameter == --*=* && $name =~ ^[a-z0-9-]+$ && -n ${FORMS[$name]:-} ]] || reject_command bad-parameter "unknown parameter: $parameter"
    GIVEN[$name]=${parameter#*=}
  done
  [[ -n $COMMAND && -n ${NEEDED[$COMMAND]:-} ]] || reject_command bad-parameter "unknown command: ${COMMAND:-none}; use deploy, check, rollback, status or doctor"
  for name in deployment service "${!FORMS[@]}"; do
    form=${FORMS[$name]}
    [[ " ${NEEDED[$COMMAND]} " == *" $name "* || -n ${GIVEN[$name]:-} ]] || continue
    [[ ${GIVEN[$name]:-} =~ ^($form)$ ]] || reject_command bad-parameter "--$name is not valid: ${GIVEN[$name]:0:80}"
  done

  readonly COMMAND GIVEN
  readonly SERVICE=${GIVEN[service]} VERSION=${GIVEN[version]:-} DEPLOYMENT=${GIVEN[deployment]:-none} BUNDLE=${GIVEN[bundle]:-} SETTINGS_FROM=${GIVEN[settings-from]:-}
  readonly ROOT=${ATTA_ROOT:-}
  readonly HOME_OF_SERVICE=$ROOT/opt/$SERVICE
  readonly RELEASE=$HOME_OF_SERVICE/releases/$VERSION
  readonly INCOMING=$HOME_OF_SERVICE/incoming/$DEPLOYMENT
  readonly HISTORY=$HOME_OF_SERVICE/history
  readonly LOG=$ROOT/var/log/$SERVICE-deploy.log
  readonly RUN=$ROOT/run/atta-deploy
  readonly LOCK=$RUN/$SERVICE.lock LOCK_WAIT=${ATTA_LOCK_WAIT:-60}
}
