//! What a job asks of its builds, as far as mock can do it.
//!
//! mock takes macros and repositories into its configuration, which it reads as templates of Jinja: a `{{ … }}` in one of them is code
//! that mock runs on the host. So what looks like a template is never given to it.

use std::ffi::OsString;

use crate::driver::BuildRequest;

/// With what templates of Jinja begin.
const TEMPLATES: [&str; 3] = ["{{", "{%", "{#"];

/// What a build asks for that mock cannot do; a builder with the native driver can.
pub fn refused(request: &BuildRequest) -> Option<String> {
    if request.like.is_some() {
        return Some("install the very packages of an earlier build".to_owned());
    }
    let is_template = |text: &str| TEMPLATES.iter().any(|mark| text.contains(mark));
    for (name, value) in &request.options.macros {
        if is_template(value.as_str()) {
            return Some(format!(
                "define the macro {name}: its value has {{{{, {{% or {{#, by which mock's templates begin"
            ));
        }
    }
    // mock writes macros into a file, a line each.
    if let Some((name, _)) = request.options.macros.iter().find(|(_, value)| value.as_str().ends_with('\\')) {
        return Some(format!("define the macro {name}: its value ends with a backslash"));
    }
    for repository in &request.repositories {
        let name = &repository.name;
        match &repository.baseurl {
            None => return Some(format!("use the repository {name}, which has no baseurl")),
            Some(url) if is_template(url) => {
                return Some(format!("use the repository {name}: its baseurl looks like one of mock's templates"));
            }
            Some(_) if repository.gpgcheck => {
                return Some(format!(
                    "check the signatures of the repository {name}, which is not the configuration's"
                ));
            }
            Some(_) if repository.priority.is_some() => {
                return Some(format!("give the repository {name} a priority"));
            }
            Some(_) => {}
        }
    }
    None
}

/// The options by which mock is told the rest.
pub fn options(request: &BuildRequest) -> Vec<OsString> {
    let urls = request.repositories.iter().filter_map(|repository| repository.baseurl.as_ref());
    let repositories = urls.flat_map(|url| ["--addrepo".into(), url.into()]);
    // mock calls these as rpmbuild does.
    repositories.chain(request.options.rpmbuild_arguments().into_iter().map(OsString::from)).collect()
}
